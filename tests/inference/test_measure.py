from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from _masks import ellipse
from _predictions import of_probabilities
from echoseg.inference.measure import measure
from echoseg.io.clip import Clip

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
