"""Post-processing steps against slow reference implementations."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from _predictions import of_landmarks, of_probabilities
from echoseg.errors import DataError
from echoseg.geometry.level_set import level_set_contour, mask_contour
from echoseg.inference.postprocess import STEPS, postprocess, with_threshold
from echoseg.metrics.conformal import EFIntervals, Offsets
from echoseg.models.codec import LandmarkCodec, MaskCodec, fill_contours

MASK = MaskCodec()
LANDMARK = LandmarkCodec(3, "arc", "polygon", "gaussian", 2.5, 10.0, 3, 0, "argmax")
TRIANGLES = [[[5, 5], [30, 5], [5, 30]]] * 3


def of_triangles(landmarks=TRIANGLES, **more):
    return of_landmarks(landmarks, LANDMARK, (40, 40), **more)


images = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0.0, 0.45, 0.97]),
)


@given(images)
def test_steps_on_masks_equal_their_definitions(probabilities):
    prediction = of_probabilities(probabilities)
    for name in ("closing=3", "threshold=0.4", "reject_blank"):
        processed = postprocess(prediction, [name], MASK)
        np.testing.assert_array_equal(processed.areas, processed.masks.sum(axis=(1, 2)))
        for plane, mask, processed_mask in zip(probabilities, prediction.masks, processed.masks, strict=True):
            if name == "threshold=0.4":
                expected = fill_contours([level_set_contour(plane, 0.4)[0]], mask.shape)[0]
            elif name == "reject_blank":
                expected = mask
            else:
                closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
                expected = mask if (closed == mask).all() else fill_contours([mask_contour(closed)], mask.shape)[0]
            np.testing.assert_array_equal(processed_mask, expected)


def test_reject_blank_empties_frames_and_dependent_values():
    probabilities = np.zeros((3, 8, 8))
    probabilities[0, 2:5, 2:5], probabilities[1, 2:5, 2:5] = 0.9, 0.99
    processed = postprocess(of_probabilities(probabilities), ["reject_blank=0.95"], MASK)
    assert processed.areas.tolist() == [0, 9, 0]
    assert processed.pieces.tolist() == [0, 1, 0]
    area = of_triangles().areas[0]
    covariances, review = np.tile(np.eye(2), (3, 3, 1, 1)), np.array([True, False, False])
    prediction = of_triangles(area_std=area * np.array([0.1, 0.2, 0.3]), covariances=covariances, review=review)
    processed = postprocess(prediction, ["reject_blank"], LANDMARK)
    assert processed.areas.tolist() == [area, area, 0]
    assert [len(contour) > 0 for contour in processed.contours] == [True, True, False]
    for values in (processed.landmarks, processed.covariances, processed.area_std):
        assert np.isfinite(values[:2]).all()
        assert np.isnan(values[2]).all()
    assert processed.review.tolist() == [True, False, True]
    assert np.isfinite(prediction.landmarks).all()
    with pytest.raises(DataError, match="not calibrated"):
        postprocess(dataclasses.replace(prediction, area_std=None), ["reject_blank"], LANDMARK)


def test_closing_removes_landmarks_that_are_not_on_the_contour():
    notched = [[[5, 5], [30, 5], [30, 30], [18, 30], [17, 10], [16, 30], [5, 30]]]
    codec = dataclasses.replace(LANDMARK, count=7)
    prediction = of_landmarks(notched, codec, (40, 40), area_std=np.ones(1), review=np.array([False]))
    closed = postprocess(prediction, ["closing=7"], codec)
    assert closed.areas[0] > prediction.areas[0]
    assert closed.landmarks is closed.axes is closed.covariances is closed.area_std is closed.review is None
    unchanged = postprocess(prediction, ["closing=1"], codec)
    assert unchanged.contours is prediction.contours
    assert unchanged.landmarks is prediction.landmarks


def test_another_threshold_of_a_smoothed_cine_is_smoothed_too():
    y, x = np.mgrid[:40, :40]
    radii = 10 + np.random.default_rng(0).normal(0, 1, 30)
    probabilities = np.clip(0.5 + (radii[:, None, None] - np.hypot(x - 20, y - 20)) / 8, 0, 1)
    raw = of_probabilities(probabilities)
    lower = {smoothed: with_threshold(dataclasses.replace(raw, smoothed=smoothed), 0.3) for smoothed in (False, True)}
    assert lower[True].smoothed
    jitter = {smoothed: np.abs(np.diff(prediction.areas, n=2)).mean() for smoothed, prediction in lower.items()}
    assert jitter[True] < 0.3 * jitter[False]
    assert lower[True].areas.mean() == pytest.approx(lower[False].areas.mean(), rel=0.02)


def test_intervals_of_ef_are_those_of_unchanged_predictions():
    intervals = EFIntervals(Offsets((-5.0,) * 3, (5.0,) * 3))
    prediction = dataclasses.replace(of_probabilities(np.full((2, 4, 4), 0.9)), ef_intervals=intervals)
    assert postprocess(prediction, [], MASK).ef_intervals is intervals
    assert postprocess(prediction, ["closing"], MASK).ef_intervals is None


def test_steps_are_applied_in_the_given_order():
    probabilities = np.zeros((1, 15, 15))
    probabilities[0, 5:10, 5:10], probabilities[0, 5:9, 7] = 0.9, 0.1
    probabilities[0, 10, 7] = 0.45  # included by the lower threshold, but not by the closing
    prediction = of_probabilities(probabilities)
    assert postprocess(prediction, ["closing=3", "threshold=0.4"], MASK).areas.tolist() == [22]
    assert postprocess(prediction, ["threshold=0.4", "closing=3"], MASK).areas.tolist() == [26]
    assert postprocess(prediction, [], MASK) is prediction


@pytest.mark.parametrize("codec", [MASK, LANDMARK])
def test_clip_without_frames(codec):
    prediction = (
        of_triangles(np.zeros((0, 3, 2)), area_std=np.zeros(0))
        if codec is LANDMARK
        else of_probabilities(np.zeros((0, 4, 4)))
    )
    for name in STEPS:
        if name not in (() if codec is MASK else ("threshold", "reject_bright")):
            assert len(postprocess(prediction, [name], codec).masks) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("polish", "known: threshold, reject_blank"),
        ("closing=wide", "closing=5"),
        ("closing=", "above 0"),
        ("closing=-1", "above 0"),
        ("closing=0.4", r"above 0\.5"),
        ("threshold=nan", "above 0"),
    ],
)
def test_wrong_names_and_numbers(name, message):
    with pytest.raises(DataError, match=message):
        postprocess(of_probabilities(np.zeros((1, 4, 4))), [name], MASK)


@pytest.mark.parametrize("name", ["threshold", "reject_bright"])
def test_steps_on_probabilities_are_rejected_for_landmarks(name):
    with pytest.raises(DataError, match="remove the step"):
        postprocess(of_triangles(np.zeros((1, 3, 2))), [name], LANDMARK)


@given(hnp.arrays(np.float32, (3, 5, 4), elements=st.integers(0, 255).map(lambda grey: grey / 255)))
def test_reject_bright_is_the_rule_of_craciun_on_scaled_images(probabilities):
    processed = postprocess(of_probabilities(probabilities), ["reject_bright=0.3"], MASK)
    for plane, before, after in zip(probabilities, of_probabilities(probabilities).masks, processed.masks, strict=True):
        low, high = plane.min(), plane.max()
        scaled = (plane.astype(np.float64) - low) / (high - low) if high > low else np.ones(plane.shape)
        if abs(scaled.mean() - 0.3) > 1e-5:
            np.testing.assert_array_equal(after, before if scaled.mean() <= 0.3 else 0 * before)


def test_a_step_that_empties_all_frames_is_reported(caplog):
    prediction = of_probabilities(np.full((3, 6, 6), 0.8))
    assert postprocess(prediction, ["reject_blank=0.7"], MASK).areas.all()
    assert not caplog.records
    assert not postprocess(prediction, ["reject_blank=0.9"], MASK).areas.any()
    assert [record.getMessage() for record in caplog.records] == [
        "post-processing 'reject_blank=0.9' has emptied all 3 frames; change its number"
    ]
    postprocess(of_probabilities(np.zeros((3, 6, 6))), ["reject_blank=0.9"], MASK)  # nothing to empty
    assert len(caplog.records) == 1


def test_the_number_of_reject_blank_is_a_confidence():
    area = of_triangles().areas[0]
    prediction = of_triangles(area_std=area * np.array([0.1, 0.2, 0.3]))  # half the intervals: 20, 39 and 59 %
    for number, kept in ((0.3, 3), (0.5, 2), (0.7, 1), (0.9, 0)):
        assert (postprocess(prediction, [f"reject_blank={number}"], LANDMARK).areas > 0).sum() == kept
