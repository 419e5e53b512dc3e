from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from echoseg.data.video import read_frame_rate, read_frames
from echoseg.errors import DataError
from echoseg.inference.evaluate import Evaluation
from echoseg.inference.predict import Prediction, Predictor
from echoseg.report.figures import overlay_figure
from echoseg.report.overlay import PREDICTED, TRUE, draw_overlay, write_overlay_video
from echoseg.report.results import write_attention, write_evaluation
from echoseg.report.tables import text_table
from echoseg.training import checkpoint
from echoseg.training.config import Config


def square(side=64, low=20, high=40):
    mask = np.zeros((side, side), np.uint8)
    mask[low:high, low:high] = 1
    return mask


def painted(picture, colour):
    """(x, y) of what has about this colour."""
    near = np.abs(picture.astype(int) - colour).sum(axis=2) < 60
    return np.argwhere(near)[:, ::-1]


def test_outlines_lie_on_the_borders_of_their_masks():
    picture = draw_overlay(np.zeros((64, 64), np.uint8), predicted=square(), true=square(low=10, high=50))
    scale = picture.shape[0] // 64
    assert picture.shape == (64 * scale, 64 * scale, 3)
    for colour, low, high in ((PREDICTED, 20, 40), (TRUE, 10, 50)):
        points = painted(picture, colour) / scale
        assert points.min(axis=0) == pytest.approx([low, low], abs=0.5)
        assert points.max(axis=0) == pytest.approx([high, high], abs=0.5)
        inner = np.abs(points - (low + high) / 2).max(axis=1)
        assert inner.min() > (high - low) / 2 - 1


def test_landmarks_lie_at_the_centres_of_their_pixels():
    picture = draw_overlay(np.zeros((64, 64), np.uint8), landmarks=np.float32([[12, 50]]))
    scale = picture.shape[0] // 64
    assert painted(picture, (255, 255, 255)).mean(axis=0) == pytest.approx(
        (np.array([12.5, 50.5]) * scale - 0.5), abs=1
    )


def test_large_frames_are_not_enlarged_and_empty_masks_draw_nothing():
    frame = np.random.default_rng(0).integers(0, 255, (600, 800), dtype=np.uint8)
    picture = draw_overlay(frame, predicted=np.zeros_like(frame))
    np.testing.assert_array_equal(picture, frame[:, :, None].repeat(3, axis=2))


def test_overlay_video_has_every_frame(tmp_path):
    frames = np.zeros((5, 64, 64), np.uint8)
    masks = np.stack([square(high=25 + 5 * t) for t in range(5)])
    write_overlay_video(tmp_path / "o.avi", frames, masks, None, fps=30)
    shown = read_frames(tmp_path / "o.avi")
    assert len(shown) == 5
    assert read_frame_rate(tmp_path / "o.avi") == pytest.approx(30)
    widths = [np.ptp(np.argwhere(frame > 60)[:, 1]) for frame in shown]
    assert (np.diff(widths) > 0).all()
    with pytest.raises(DataError, match="nowhere"):
        write_overlay_video(tmp_path / "nowhere" / "o.avi", frames, masks, None, fps=30)


def evaluation(count):
    masks = np.stack([square()] * count)
    images = pd.DataFrame({"video": "v", "frame": np.arange(count), "dice": np.linspace(1, 0, count)})
    prediction = Prediction(masks, masks.astype(np.float32), None, masks.sum(axis=(1, 2)))
    return Evaluation(images, np.arange(count), masks, prediction, {"dice": 0.5})


@pytest.mark.parametrize("count", [1, 3, 30])
def test_overlay_figure_of_few_and_many_images(tmp_path, count):
    overlay_figure(evaluation(count), np.zeros((count, 64, 64), np.uint8), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_attention_figure_shows_the_gates_of_three_images(tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = Config(size=(64, 64), width=8, depth=2, attention=True, precision="float32")
    predictor = Predictor(config, *checkpoint.build(config), torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 255, (5, 64, 64), dtype=np.uint8)
    seen, attention = [], predictor.attention
    monkeypatch.setattr(predictor, "attention", lambda chosen: seen.append(chosen) or attention(chosen))
    store = SimpleNamespace(frames=frames)
    (tmp_path / "figures").mkdir()
    write_attention(predictor, evaluation(5), store, "test", tmp_path)
    np.testing.assert_array_equal(seen[0], frames[[0, 2, 4]])  # best, median, worst
    maps = attention(frames)
    assert [found.shape for found in maps] == [(5, 32, 32), (5, 64, 64)]
    assert all(0 <= found.min() < found.max() <= 1 for found in maps)
    assert (tmp_path / "figures" / "attention_test.png").stat().st_size > 1000
    predictor.config = dataclasses.replace(config, attention=False)
    write_attention(predictor, evaluation(5), store, "val", tmp_path)
    assert not (tmp_path / "figures" / "attention_val.png").exists()


def test_damaged_metrics_are_named_and_kept(disc_store, tmp_path):
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(DataError, match=r"metrics\.json"):
        write_evaluation(evaluation(2), disc_store, "val", tmp_path)
    assert (tmp_path / "metrics.json").read_text() == "{"


def test_table_lines_up():
    assert text_table(["name", "n"], [["a", "1"], ["longer", "100"]]).split("\n") == [
        "name      n",
        "------  ---",
        "a         1",
        "longer  100",
    ]
