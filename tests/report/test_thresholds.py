"""The page and the table that compare thresholds."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from _predictions import of_probabilities
from echoseg.io.clip import Clip
from echoseg.metrics.overlap import dice
from echoseg.report.thresholds import write_thresholds

SPACING = (1.5, 2.0)
Y, X = np.mgrid[:60, :80]
CONES = np.stack([np.clip(1 - np.hypot(Y - 30, X - 40) / radius, 0, 1) for radius in (30, 25, 20, 1e-3)])
"""Probabilities that fall linearly from the middle; the pixel in the middle alone in the last one."""


def stack(thickness=8.0, fps=np.nan) -> Clip:
    frames = np.random.default_rng(0).integers(0, 255, CONES.shape).astype(np.uint8)
    return Clip(frames, fps, SPACING, thickness)


def page_of(folder) -> str:
    page = (folder / "thresholds.html").read_text(encoding="utf-8")
    assert not re.findall(r"https?://|src=", page)  # it loads nothing
    return page


def test_table_and_page_of_a_stack_with_its_truth(tmp_path):
    true = (CONES > 0.45).astype(np.uint8)
    clip, prediction = stack(), of_probabilities(CONES)
    write_thresholds(clip, prediction, [0.5, 0.3, 0.3], tmp_path, name="<heart>", true=true)
    table = pd.read_csv(tmp_path / "thresholds.csv")
    assert list(table) == ["threshold", "slice", "area_px", "area_mm2", "dice"]
    assert table["threshold"].tolist() == [0.3] * 4 + [0.5] * 4
    page = page_of(tmp_path)
    assert "&lt;heart&gt;: contours at 2 thresholds" in page
    for threshold in (0.3, 0.5):
        rows = table[table["threshold"] == threshold]
        expected = (threshold <= CONES).astype(np.uint8)
        np.testing.assert_allclose(rows["area_px"], expected.sum(axis=(1, 2)), atol=2, rtol=0.02)
        np.testing.assert_allclose(rows["area_mm2"], rows["area_px"] * 3)
        np.testing.assert_allclose(rows["dice"], dice(expected, true), atol=0.02)
        assert f"<td>{threshold:g}</td><td>{rows['area_px'].sum() * 3 * 8 / 1000:.1f}</td>" in page
    # the outlines lie around the middle of the ventricle, and that of the lower threshold is the larger one
    for number in range(2):
        (outline,) = re.findall(rf'class="c{number}" points="([^"]+)"/>', page)[:1]
        points = np.array([pair.split(",") for pair in outline.split()], float)
        radii = np.hypot(*(points - points.mean(axis=0)).T)
        np.testing.assert_allclose(radii, 30 * (1 - (0.3, 0.5)[number]), atol=0.5)
    assert len(re.findall("<svg", page)) == 4
    assert "true" in page
    assert "4 of 4 slices" in page


def test_page_of_a_video_shows_some_of_its_frames(tmp_path):
    areas = 12 + 4 * np.cos(np.arange(120) / 60 * 2 * np.pi)
    discs = (np.hypot(Y - 30, X - 40) < areas[:, None, None]).astype(np.float32)
    frames = np.zeros(discs.shape, np.uint8)
    write_thresholds(Clip(frames, 60.0, SPACING, np.nan), of_probabilities(discs), [0.4], tmp_path, name="cine")
    page = page_of(tmp_path)
    assert 22 <= len(re.findall("<svg", page)) <= 24
    assert "EDV, ml" in page
    assert "contours at 1 threshold of" in page
    assert len(pd.read_csv(tmp_path / "thresholds.csv")) == 120


@pytest.mark.parametrize("spacing", [SPACING, (np.nan, np.nan)])
def test_frames_without_a_contour_are_counted(tmp_path, spacing):
    clip = Clip(np.zeros(CONES.shape, np.uint8), np.nan, spacing, 8.0)
    write_thresholds(clip, of_probabilities(np.zeros_like(CONES)), [0.2, 0.9], tmp_path, name="blank")
    assert page_of(tmp_path).count("<td>0.0</td><td>4</td>") == 2
    assert ("area_mm2" in pd.read_csv(tmp_path / "thresholds.csv")) == np.isfinite(spacing[0])
