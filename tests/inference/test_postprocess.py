"""Each step against the obvious slow way."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from echoseg.errors import DataError
from echoseg.inference.postprocess import STEPS, postprocess
from echoseg.inference.predictor import Prediction
from echoseg.models.codec import LandmarkCodec, MaskCodec
from echoseg.ops import fill_polygons

MASK = MaskCodec()
LANDMARK = LandmarkCodec(3, "arc", "polygon", "gaussian", 2.5, 10.0, 3, 0, "argmax")


def of_probabilities(probabilities):
    masks = (probabilities >= 0.5).astype(np.uint8)
    return Prediction(masks, probabilities.astype(np.float32), None, masks.sum(axis=(1, 2), dtype=np.int64))


def of_landmarks(landmarks, size=(40, 40), **more):
    landmarks = np.asarray(landmarks, dtype=np.float32)
    masks = fill_polygons(landmarks, size)
    return Prediction(
        masks, np.ones(masks.shape, np.float32), landmarks, masks.sum(axis=(1, 2), dtype=np.int64), **more
    )


pictures = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9)),
    elements=st.sampled_from([0.0, 0.45, 0.97]),
)


@given(pictures)
def test_steps_on_masks_equal_their_definitions(probabilities):
    seen = of_probabilities(probabilities)
    cross, square = ndimage.generate_binary_structure(2, 1), np.ones((3, 3))
    for name in ("largest_component", "fill_holes", "closing=3", "threshold=0.4", "reject_blank"):
        found = postprocess(seen, [name], MASK)
        np.testing.assert_array_equal(found.areas, found.masks.sum(axis=(1, 2)))
        assert found.masks.dtype == np.uint8
        for before, mask, after in zip(probabilities, seen.masks, found.masks, strict=True):
            if name == "fill_holes":
                expected = ndimage.binary_fill_holes(mask, cross)
            elif name == "threshold=0.4":
                expected = before >= 0.4
            elif name == "reject_blank":
                expected = mask
            elif name == "closing=3":
                expected = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
            else:
                labels, count = ndimage.label(mask, square)
                sizes = [(labels == k + 1).sum() for k in range(count)]
                assert after.sum() == max(sizes, default=0)
                assert ndimage.label(after, square)[1] == (count > 0)
                expected = after & mask
            np.testing.assert_array_equal(after, expected)


def test_blank_frames_are_emptied():
    sure = np.zeros((3, 8, 8))
    sure[0, 2:5, 2:5], sure[1, 2:5, 2:5] = 0.9, 0.99
    assert postprocess(of_probabilities(sure), ["reject_blank"], MASK).areas.tolist() == [0, 9, 0]
    triangle = [[[5, 5], [30, 5], [5, 30]]] * 3
    area = fill_polygons(np.float32(triangle), (40, 40))[0].sum()
    seen = of_landmarks(triangle, area_std=area * np.array([0.1, 0.2, 0.3]))
    assert postprocess(seen, ["reject_blank"], LANDMARK).areas.tolist() == [area, area, 0]
    with pytest.raises(DataError, match="not calibrated"):
        postprocess(dataclasses.replace(seen, area_std=None), ["reject_blank"], LANDMARK)


def test_smoothing_over_time():
    random = np.random.default_rng(0)
    path = np.float32([[8, 8], [32, 10], [10, 30]]) + random.normal(0, 2, (30, 3, 2)).astype(np.float32)
    found = postprocess(of_landmarks(path), ["smooth=2"], LANDMARK)
    weights = np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)
    np.testing.assert_allclose(found.landmarks[15], np.tensordot(weights / weights.sum(), path[7:24], 1), atol=1e-4)
    np.testing.assert_array_equal(found.masks, fill_polygons(found.landmarks, (40, 40)))
    slices = postprocess(of_landmarks(path), ["smooth"], LANDMARK, over_time=False)
    np.testing.assert_array_equal(slices.landmarks, path)
    flicker = of_probabilities(np.tile([0.9, 0.3, 0.9], 10)[:, None, None] * np.ones((1, 4, 4)))
    assert postprocess(flicker, ["smooth"], MASK).areas.tolist() == [16] * 30


def test_steps_run_in_the_order_given():
    ring = np.zeros((1, 9, 9))
    ring[0, 1:6, 1:6], ring[0, 3, 3], ring[0, 2, 7] = 0.9, 0.1, 0.45
    ring[0, 1, 3] = 0.45  # closed only when more is taken
    seen = of_probabilities(ring)
    assert postprocess(seen, ["fill_holes", "threshold=0.4"], MASK).areas.tolist() == [25]
    assert postprocess(seen, ["threshold=0.4", "fill_holes"], MASK).areas.tolist() == [26]
    assert postprocess(seen, [], MASK) is seen


@pytest.mark.parametrize("codec", [MASK, LANDMARK])
def test_a_clip_without_frames(codec):
    seen = (
        of_landmarks(np.zeros((0, 3, 2)), area_std=np.zeros(0))
        if codec is LANDMARK
        else of_probabilities(np.zeros((0, 4, 4)))
    )
    for name in STEPS:
        if codec is MASK or name != "threshold":
            assert len(postprocess(seen, [name], codec).masks) == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("polish", "known: threshold, reject_blank"),
        ("closing=wide", "closing=5"),
        ("closing=", "above 0"),
        ("smooth=-1", "above 0"),
        ("threshold=nan", "above 0"),
        ("fill_holes=3", "no number"),
    ],
)
def test_wrong_names_and_numbers(name, words):
    with pytest.raises(DataError, match=words):
        postprocess(of_probabilities(np.zeros((1, 4, 4))), [name], MASK)


def test_landmarks_have_no_probability_to_cut():
    with pytest.raises(DataError, match="leave it out"):
        postprocess(of_landmarks(np.zeros((1, 3, 2))), ["threshold"], LANDMARK)
