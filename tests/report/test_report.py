from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageSequence

from _predictions import of_probabilities
from echoseg.cli.predict import _KEEP
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import Evaluation
from echoseg.geometry.level_set import NO_CONTOUR, mask_contour
from echoseg.inference.measure import measure
from echoseg.inference.predictor import Predictor
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip, read_frames
from echoseg.report import figures
from echoseg.report.figures import overlay_figure
from echoseg.report.film import GREY, REVIEW, film, write_gif
from echoseg.report.image_files import write_frame_images
from echoseg.report.mask_files import write_masks
from echoseg.report.overlay import LANDMARK, PREDICTED, TRUE, draw_overlay, write_video
from echoseg.report.results import OUTPUTS, write_attention, write_evaluation
from echoseg.report.tables import text_table
from echoseg.training import checkpoint
from echoseg.training.config import Config


def square(side=64, low=20, high=40):
    mask = np.zeros((side, side), np.uint8)
    mask[low:high, low:high] = 1
    return mask


def painted(picture, colour):
    """(N, 2) int64, pixels: the positions that have nearly this colour."""
    near = np.abs(picture.astype(int) - colour).sum(axis=2) < 60
    return np.argwhere(near)[:, ::-1]


def test_outlines_lie_on_the_borders_of_their_masks():
    contours = {"predicted": mask_contour(square()), "true": mask_contour(square(low=10, high=50))}
    picture = draw_overlay(np.zeros((64, 64), np.uint8), **contours)
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
    picture = draw_overlay(frame, predicted=NO_CONTOUR)
    np.testing.assert_array_equal(picture, frame[:, :, None].repeat(3, axis=2))


def beating(count=60, *, spacing=(1.0, 1.0), landmarks=False):
    """A clip of a square that shrinks and grows, its prediction and its measurement."""
    sides = (24 + 8 * np.cos(np.arange(count) / 30 * 2 * np.pi)).round().astype(int)
    masks = np.stack([square(low=32 - side // 2, high=32 + side // 2) for side in sides])
    prediction = of_probabilities(masks)
    points = np.full((count, 3, 2), 32, np.float32) if landmarks else None
    prediction = dataclasses.replace(prediction, landmarks=points, area_std=0.05 * prediction.areas)
    clip = Clip(np.full_like(masks, 40), 30.0, spacing, float("nan"))
    return clip, prediction, measure(prediction, clip)


@pytest.mark.slow
def test_film_shows_outline_curve_and_cursor(tmp_path):
    clip, prediction, measured = beating(landmarks=True)
    pictures = list(film(clip, prediction, measured))
    assert len(pictures) == 60
    assert len(measured.ef) >= 1
    assert len({picture.shape for picture in pictures}) == 1
    side = 64 * (448 // 64)
    widths = [np.ptp(painted(picture[:side], PREDICTED)[:, 0]) for picture in pictures]
    assert np.corrcoef(widths, prediction.areas**0.5)[0, 1] > 0.99
    below = np.stack([picture[side:] for picture in pictures]).astype(int)
    cursors = [np.argwhere((panel == GREY).all(axis=2).sum(axis=0) > 100).mean() for panel in below]
    assert np.corrcoef(cursors, np.arange(60))[0, 1] > 0.999
    path = tmp_path / "film.avi"
    write_video(path, pictures, fps=30)
    assert len(read_frames(path)) == 60
    assert read_clip(path).fps == pytest.approx(30)
    with pytest.raises(DataError, match="nowhere"):
        write_video(tmp_path / "nowhere" / "film.avi", pictures, fps=30)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_images_are_written_to_names_that_opencv_cannot_write_to(tmp_path):
    clip, prediction, _ = beating(2)
    folder = tmp_path / os.fsdecode(b"M\xfcller")
    write_frame_images(Path(os.fsdecode(b"\xfc.avi")), clip, prediction, folder)
    write_masks(tmp_path / "a.avi", prediction.masks, folder)
    with Image.open(folder / "masks.tif") as stack:
        pages = [np.array(page) for page in ImageSequence.Iterator(stack)]
    np.testing.assert_array_equal(pages, 255 * prediction.masks)
    with Image.open(folder / "masks" / os.fsdecode(b"\xfc_frame0001.png")) as image:
        np.testing.assert_array_equal(image, pages[1])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_film_of_a_few_frames_and_of_empty_predictions(count):
    clip, prediction, measured = beating(count, spacing=(float("nan"),) * 2)
    assert len(list(film(clip, prediction, measured))) == count
    empty = prediction.with_contours([NO_CONTOUR] * count)
    assert not empty.areas.any()
    assert len(list(film(clip, empty, measured))) == count


def test_a_frame_that_was_emptied_leaves_the_others_of_the_curve():
    clip, prediction, measured = beating(20, landmarks=True)
    prediction = dataclasses.replace(prediction, area_std=0.1 * prediction.areas)
    whole = list(film(clip, prediction, measured))
    emptied = list(film(clip, prediction.emptied(np.arange(20) == 10), measured))
    side = whole[0].shape[1]
    left = np.s_[side:, : side // 2 - 40]
    np.testing.assert_array_equal(emptied[0][left], whole[0][left])


def test_film_shows_the_square_of_a_clip_and_marks_frames_to_review():
    clip, prediction, measured = beating(20, landmarks=True)
    clip = dataclasses.replace(clip, square=(10, 16, 32))
    review = np.arange(20) == 5
    pictures = list(film(clip, dataclasses.replace(prediction, review=review), measured))
    side, scale = 448, 448 // 32
    assert pictures[0].shape[1] == side
    at = painted(pictures[0][:side], LANDMARK)
    assert np.median(at, axis=0) == pytest.approx([(32.5 - 16) * scale, (32.5 - 10) * scale], abs=scale / 2)
    ticks = painted(pictures[0][side:], REVIEW)
    assert ticks[:, 0].mean() == pytest.approx(12 + 5 / 19 * (side - 24), abs=2)
    assert not len(painted(next(film(clip, prediction, measured))[side:], REVIEW))


@pytest.mark.parametrize(("fps", "frames", "duration"), [(30, 60, 33), (25, 60, 40), (50, 60, 20), (200, 15, 20)])
def test_gif_runs_at_the_films_speed(tmp_path, fps, frames, duration):
    clip, prediction, measured = beating()
    write_gif(tmp_path / "film.gif", film(clip, prediction, measured), fps=fps)
    with Image.open(tmp_path / "film.gif") as shown:
        assert shown.n_frames == frames
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(shown)]
        assert sum(durations) == pytest.approx(frames * 1000 / fps * (4 if fps == 200 else 1), abs=5)
        assert set(durations) <= {duration // 10 * 10, -(-duration // 10) * 10}
        assert shown.width <= 336
        shown.seek(3)
        scale = shown.width / 64
        near = painted(np.asarray(shown.convert("RGB"))[: shown.width], PREDICTED) / scale
    assert np.abs(near - 32).max() < 18


def test_every_choice_of_the_command_is_an_output():
    assert set(OUTPUTS) == set(_KEEP)


def evaluation(count):
    masks = np.stack([square()] * count)
    images = pd.DataFrame({"video": "v", "frame": np.arange(count), "dice": np.linspace(1, 0, count)})
    return Evaluation(images, np.arange(count), masks, of_probabilities(masks), {"dice": 0.5})


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 5, 12, 30])
def test_overlay_figure_of_few_and_many_images(tmp_path, monkeypatch, count):
    drawn = []
    save = figures.save_figure
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: (drawn.append(figure), save(figure, path)))
    frames, contours = np.zeros((count, 64, 64), np.uint8), [mask_contour(square())] * count
    overlay_figure(evaluation(count), frames, contours, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 1000
    titles = [title for axis in drawn[0].axes if (title := axis.get_title().split("\n")[0])]
    assert len(set(titles)) == len(titles) == min(count, 12)
    kinds = [title.partition("case")[0] for title in titles]
    assert (
        kinds == [kind for kind in ("best: ", "median: ", "worst: ") for _ in range(4)] if count > 11 else [""] * count
    )


@pytest.mark.slow
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
    outside = checkpoint.build(config, lambda channels: torch.nn.Conv2d(1, channels, 1))
    write_attention(Predictor(config, *outside, torch.device("cpu")), evaluation(5), store, "val", tmp_path)
    assert not (tmp_path / "figures" / "attention_val.png").exists()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_metrics_are_reported_and_not_replaced(disc_store, tmp_path, text):
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(DataError, match=r"metrics\.json"):
        write_evaluation(evaluation(2), disc_store, "val", tmp_path)
    assert (tmp_path / "metrics.json").read_text() == text


def with_seconds(**seconds):
    names = [f"{prefix}{name}" for prefix in ("", "true_", "listed_") for name in ("ef", "edv", "esv")]
    no_volumes = pd.DataFrame(columns=["video", "patient", "unit", *names])
    return dataclasses.replace(evaluation(2), volumes=no_volumes, seconds=seconds)


@pytest.mark.slow
def test_splits_that_are_evaluated_at_the_same_time_are_all_kept(disc_store, tmp_path, monkeypatch):
    def draw(*arguments):  # while figures are drawn, another process finishes
        (tmp_path / "metrics.json").write_text('{"test": {"dice": 0.5}, "val": {}}')

    monkeypatch.setattr("echoseg.report.results.overlay_figure", draw)
    write_evaluation(with_seconds(), disc_store, "val", tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics.keys() == {"test", "val"}
    assert metrics["test"] == {"dice": 0.5}
    assert metrics["val"]["data"] == str(disc_store.path)


@pytest.mark.slow
def test_metrics_hold_the_seconds_of_training_testing_and_outputs(disc_store, tmp_path):
    (tmp_path / "log.csv").write_text("epoch,val_dice,epoch_seconds\n1,0.5,4\n2,0.6,2.5\n")
    write_evaluation(with_seconds(prediction=0.5, measures=0.25), disc_store, "val", tmp_path)
    seconds = json.loads((tmp_path / "metrics.json").read_text())["val"]["seconds"]
    assert seconds.pop("outputs").keys() == {"images", "overlay", "cases", "volumes"}
    assert seconds == {"training": 6.5, "epoch": 3.25, "prediction": 0.5, "measures": 0.25}


@pytest.mark.slow
def test_files_of_an_earlier_evaluation_of_the_split_are_deleted(disc_store, tmp_path):
    """The page shows the files that it finds, so these must be of the same evaluation as `metrics.json`."""
    names = ("stacks_{}.csv", "subgroups_{}.csv", "volumes_videos_{}.csv", "protocol_camus_{}.md")
    figures = ("figures/bland_altman_{}.png", "figures/bland_altman_videos_{}.png")
    (tmp_path / "figures").mkdir()
    for name in (*names, *figures):
        for split in ("val", "test"):
            (tmp_path / name.format(split)).write_text("earlier")
    columns = [f"{prefix}{name}" for prefix in ("", "true_", "listed_") for name in ("ef", "edv", "esv")]
    no_volumes = pd.DataFrame(columns=["video", "patient", "unit", *columns])
    write_evaluation(dataclasses.replace(evaluation(2), volumes=no_volumes), disc_store, "val", tmp_path)
    for name in (*names, *figures):
        assert not (tmp_path / name.format("val")).exists()
        assert (tmp_path / name.format("test")).exists()


def test_table_lines_up():
    assert text_table(["name", "n"], [["a", "1"], ["longer", "100"]]).split("\n") == [
        "name      n",
        "------  ---",
        "a         1",
        "longer  100",
    ]
