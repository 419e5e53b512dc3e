from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from _masks import ellipse
from _predictions import of_probabilities
from echoseg.inference.measure import measure
from echoseg.io.clip import Clip
from echoseg.metrics.conformal import EFIntervals, Offsets

MASKS = np.stack([ellipse(radius) for radius in (0.0, 12.0, 16.0, 9.0)])


def clip_of(masks, *, spacing=(1.5, 2.0), thickness=8.0):
    return Clip(masks * 255, 50.0, spacing, thickness)


def test_predicted_and_true_volumes_of_a_stack_have_one_definition():
    true = np.roll(MASKS, 1, axis=0)
    measured = measure(of_probabilities(MASKS), clip_of(MASKS), true=true)
    assert measured.volume == pytest.approx(MASKS.sum() * 24 / 1000)
    assert measured.truth.volume == pytest.approx(measured.volume)
    np.testing.assert_allclose(measured.truth.volumes, np.roll(measured.volumes, 1))
    overlap = (MASKS & true).sum()
    assert measured.truth.volume_dice == pytest.approx(2 * overlap / (2 * MASKS.sum()))
    unknown = measure(of_probabilities(MASKS), clip_of(MASKS, spacing=(np.nan, np.nan)), true=true)
    assert (unknown.unit, unknown.truth.volume) == ("px3", MASKS.sum())


def test_the_index_is_of_the_stack_or_of_the_end_diastole():
    stack = dataclasses.replace(measure(of_probabilities(MASKS), clip_of(MASKS)), bsa=2.0)
    assert stack.volume_index == pytest.approx(stack.volume / 2)
    cine = measure(of_probabilities(MASKS), clip_of(MASKS, thickness=np.nan), beats=np.array([[2, 3]]), true=MASKS)
    assert cine.truth is None
    assert dataclasses.replace(cine, bsa=2.0).volume_index == pytest.approx(cine.volumes[2] / 2)
    assert np.isnan(cine.volume_index)
    unknown = measure(of_probabilities(MASKS), clip_of(MASKS, spacing=(np.nan, np.nan)))
    assert np.isnan(dataclasses.replace(unknown, bsa=2.0).volume_index)


def test_the_interval_of_the_ef_is_that_of_the_mean_over_the_beats():
    intervals = EFIntervals(Offsets((-5.0,) * 3, (9.0,) * 3), Offsets((-1.0,) * 3, (2.0,) * 3))
    clip, beats = clip_of(MASKS, thickness=np.nan), np.array([[2, 3], [2, 1]])
    prediction = dataclasses.replace(of_probabilities(MASKS), ef_intervals=intervals)
    measured = measure(prediction, clip, beats=beats)
    assert measured.ef_interval == pytest.approx((measured.mean_ef - 5, measured.mean_ef + 9))
    scaled = dataclasses.replace(prediction, area_std=0.02 * prediction.areas)
    ed, es = measured.edv, measured.esv
    deviations = 100 * es / ed * 1.5 * 0.02 * np.sqrt(2)  # relative errors of 3 % in both volumes
    expected = measured.mean_ef - deviations.mean(), measured.mean_ef + 2 * deviations.mean()
    assert measure(scaled, clip, beats=beats).ef_interval == pytest.approx(expected)
    for unknown in (
        measure(of_probabilities(MASKS), clip, beats=beats),
        measure(prediction, clip, beats=beats[:0]),
        measure(prediction, clip_of(MASKS)),
    ):
        assert np.isnan(unknown.ef_interval).all()
    changed = scaled.with_contours(scaled.contours)
    assert measure(changed, clip, beats=beats).ef_interval == pytest.approx(measured.ef_interval)
