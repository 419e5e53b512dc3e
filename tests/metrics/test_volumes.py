"""Volumes and EF of drawn shapes whose volume is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from _predictions import of_probabilities
from echoseg.geometry.discs import landmark_axes
from echoseg.geometry.level_set import NO_CONTOUR, mask_contour
from echoseg.inference.measure import measure
from echoseg.io.clip import Clip
from echoseg.metrics.volumes import (
    area_length_volumes,
    biplane_volumes,
    disc_volumes,
    scale_contours,
)
from echoseg.ops import fill_polygons

NAN = float("nan")


def ellipses(half_widths, half_length=40.0, size=(112, 112), squash=1.0):
    """(T, P, 2) standing ellipses; ``squash`` of the rows."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    points = np.stack(
        [half_widths[:, None] * np.sin(angle), np.broadcast_to(-half_length * np.cos(angle), (len(half_widths), 120))],
        axis=2,
    )
    return ((points + np.array([size[1] / 2, size[0] / 2])) * [1, squash]).astype(np.float32)


def prediction(contours, size=(112, 112)):
    return of_probabilities(fill_polygons(contours, size))


def clip(prediction, fps=50.0, spacing=(NAN, NAN), thickness=NAN):
    return Clip(prediction.masks, fps, spacing, thickness)


BEATING = 18 + 6 * np.cos(np.linspace(0, 4 * np.pi, 81))  # two beats: half-widths from 24 to 12


def test_masks_have_the_volume_of_what_they_show():
    widths = np.array([10.0, 15, 24])
    contours = scale_contours(map(mask_contour, fill_polygons(ellipses(widths), (112, 112))))
    true = 4 / 3 * np.pi * widths**2 * 40
    np.testing.assert_allclose(disc_volumes(contours), true, rtol=0.04)
    np.testing.assert_allclose(area_length_volumes(contours), true, rtol=0.04)
    wider = scale_contours(map(mask_contour, fill_polygons(ellipses(1.5 * widths), (112, 112))))
    np.testing.assert_allclose(biplane_volumes(contours, wider), 1.5 * true, rtol=0.04)


def test_spacing_counts_rows_and_columns_apart():
    """An ellipse squashed by half, with rows twice as thick, is the ellipse itself."""
    widths = np.array([10.0, 20])
    true = disc_volumes(scale_contours(ellipses(widths)))
    squashed = scale_contours(ellipses(widths, squash=0.5), spacings=(2.0, 1.0))
    np.testing.assert_allclose(disc_volumes(squashed), true, rtol=1e-6)
    each = scale_contours(ellipses(widths), spacings=np.array([[1.0, 1.0], [2.0, 2.0]]))
    np.testing.assert_allclose(disc_volumes(each), true * [1, 8], rtol=1e-6)
    axes = np.array([[[56, 16], [56, 96]]] * 2) * [1, 0.5]
    np.testing.assert_allclose(
        disc_volumes(scale_contours(ellipses(widths, squash=0.5), axes, (2.0, 1.0))), true, rtol=1e-3
    )


def test_nothing_seen_has_no_volume():
    masks = np.zeros((2, 20, 20), np.uint8)
    masks[1, 3, 3] = 1
    contours = scale_contours([*map(mask_contour, masks), NO_CONTOUR])
    assert disc_volumes(contours)[[0, 2]].tolist() == [0, 0]
    assert area_length_volumes(contours)[[0, 2]].tolist() == [0, 0]
    assert 0 < disc_volumes(contours)[1] < 2


def test_the_axis_of_landmarks_runs_from_the_apex_to_the_middle_of_the_annulus():
    landmarks = np.arange(36, dtype=float).reshape(2, 9, 2)
    np.testing.assert_array_equal(landmark_axes(landmarks, "anatomical"), [[[0, 1], [9, 10]], [[18, 19], [27, 28]]])
    assert landmark_axes(landmarks, "arc") is None


@pytest.mark.parametrize(("spacing", "unit", "scale"), [((NAN, NAN), "px3", 1.0), ((0.5, 0.5), "ml", 0.125e-3)])
def test_a_clip_of_two_beats(spacing, unit, scale):
    seen = prediction(ellipses(BEATING))
    found = measure(seen, clip(seen, spacing=spacing))
    assert found.unit == unit
    assert (found.ed.tolist(), found.es.tolist()) == ([0, 40], [20, 60])
    np.testing.assert_allclose(found.volumes, 4 / 3 * np.pi * BEATING**2 * 40 * scale, rtol=0.04)
    np.testing.assert_array_equal(found.edv, found.volumes[found.ed])
    np.testing.assert_allclose(found.ef, 75, atol=1)
    assert found.mean_ef == pytest.approx(found.ef.mean())
    assert np.isnan(found.volume)


def test_landmarks_give_the_axis_whatever_the_mask_looks_like():
    """A ball has no long axis of its own."""
    contours = ellipses(BEATING * 0 + 40.0)
    landmarks = np.tile(np.float32([[56, 20]] * 4 + [[50, 90], [62, 90]] + [[56, 20]] * 3), (81, 1, 1))
    seen = dataclasses.replace(prediction(contours), axes=landmark_axes(landmarks, "anatomical"))
    found = measure(seen, clip(seen))
    ball = disc_volumes(scale_contours(contours, np.array([[[56, 20], [56, 90]]] * 81)))
    np.testing.assert_allclose(found.volumes, ball, rtol=0.02)
    assert not len(found.ef)
    assert np.isnan([found.mean_ef, found.mean_edv, found.mean_esv]).all()
    other = measure(prediction(contours), clip(seen))
    np.testing.assert_allclose(other.volumes, 4 / 3 * np.pi * 40**3, rtol=0.04)


def test_beats_may_be_given():
    seen = prediction(ellipses(BEATING))
    found = measure(seen, clip(seen), beats=np.array([[1, 21]]))
    assert (found.ed.tolist(), found.es.tolist()) == ([1], [21])
    assert found.mean_ef == 100 * (found.volumes[1] - found.volumes[21]) / found.volumes[1]


def test_a_stack_is_the_sum_of_its_slices():
    seen = prediction(ellipses(np.array([10.0, 20, 15])))
    found = measure(seen, clip(seen, NAN, (1.5, 1.25), 8.0))
    assert found.unit == "ml"
    assert found.volume == pytest.approx(seen.areas.sum() * 1.5 * 1.25 * 8 / 1000)
    assert found.volumes.sum() == pytest.approx(found.volume)
    assert not len(found.ed)
    assert measure(seen, clip(seen, NAN, thickness=8.0)).unit == "px3"


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_clips_of_few_frames(frames):
    seen = prediction(ellipses(np.array([24.0, 12.0])[:frames]))
    found = measure(seen, clip(seen))
    assert len(found.volumes) == frames
    assert found.ed.tolist() == [0] * (frames == 2)
    black = measure(prediction(np.zeros((3, 4, 2), np.float32)), clip(seen))
    assert black.volumes.tolist() == [0, 0, 0]
    assert np.isnan(black.mean_ef)
