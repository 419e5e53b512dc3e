from __future__ import annotations

import numpy as np
import pytest

from echoseg.metrics.overlap import dice
from echoseg.metrics.steadiness import steadiness

FRAMES = 400
NO_BEATS = np.empty(0, dtype=np.int64)


def discs(radii):
    y, x = np.mgrid[:40, :40]
    return (np.hypot(x - 20, y - 20) < np.asarray(radii)[:, None, None]).astype(np.uint8)


def test_noise_is_found_under_a_beat():
    random, time = np.random.default_rng(0), np.arange(FRAMES)
    areas = 1000 + 300 * np.cos(2 * np.pi * time / 50) + random.normal(0, 20, FRAMES)
    motion = 10 * np.sin(2 * np.pi * time / 50)[:, None] * [0.3, 1.0]
    base = 60 + motion + random.normal(0, 0.7, (FRAMES, 2))
    axes = np.stack([np.zeros((FRAMES, 2)), base], axis=1)
    masks = discs(np.full(FRAMES, 10))
    values = steadiness(masks, areas, axes, NO_BEATS)
    assert values["area_jitter_percent"] == pytest.approx(100 * 20 / areas.mean(), rel=0.15)
    assert values["base_jitter_px"] == pytest.approx(0.7 * np.sqrt(2), rel=0.15)
    assert values["neighbour_dice"] == 1


def test_a_straight_motion_has_no_jitter():
    axes = np.linspace(0, 30, 20)[:, None, None] * np.ones((1, 2, 2))
    values = steadiness(discs(np.full(20, 10)), np.arange(100, 120), axes, NO_BEATS)
    assert values["area_jitter_percent"] == pytest.approx(0, abs=1e-9)
    assert values["base_jitter_px"] == pytest.approx(0, abs=1e-9)


def test_the_worst_neighbours_count():
    masks = discs([10, 10, 6, 10])
    assert steadiness(masks, masks.sum(axis=(1, 2)), None, NO_BEATS)["neighbour_dice"] == dice(masks[1:2], masks[2:3])


def test_the_drift_is_that_of_the_base_at_end_diastole():
    base = np.zeros((30, 2))
    base[[5, 15, 25]] = [[0, 0], [3, 0], [6, 0]]
    axes = np.stack([np.full((30, 2), 7.0), base], axis=1)
    values = steadiness(discs(np.full(30, 10)), np.full(30, 300), axes, np.array([5, 15, 25]))
    assert values["base_drift_px"] == pytest.approx(np.sqrt((9 + 0 + 9) / 3))


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_what_cannot_be_measured_is_nan(frames):
    values = steadiness(discs(np.full(frames, 10)), np.full(frames, 0), None, NO_BEATS)
    assert np.isnan(values["area_jitter_percent"])
    assert np.isnan(values["base_drift_px"])
    assert np.isnan(values["neighbour_dice"]) == (frames < 2)
