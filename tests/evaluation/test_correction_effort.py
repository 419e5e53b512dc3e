from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.evaluation.correction_effort import brush_masks, drag_landmarks, steps_until
from echoseg.geometry.spline import join_landmarks
from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons

SIZE = (48, 48)


def join(landmarks):
    return join_landmarks(landmarks, scheme="arc", outline="cubic")


def rings(seeds, noise):
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    circle = np.stack([24 + 15 * np.sin(angle), 24 - 12 * np.cos(angle)], axis=1)
    shift = np.stack([np.random.default_rng(seed).normal(0, noise, circle.shape) for seed in seeds])
    return (circle + shift).astype(np.float32)


def slow_drags(landmarks, true, mask):
    landmarks, scores, way = landmarks.copy(), [], [0.0]
    for _ in range(len(true) + 1):
        scores.append(dice(fill_polygons(join(landmarks[None]), SIZE), mask[None])[0])
        errors = [float(np.hypot(*(a - b))) for a, b in zip(landmarks, true, strict=True)]
        worst = int(np.argmax(errors))
        landmarks[worst] = true[worst]
        way.append(way[-1] + errors[worst])
    return scores, way[:-1]


def test_drags_of_many_are_those_of_each():
    true = rings(range(5), 0.0)
    masks = fill_polygons(join(true), SIZE)
    landmarks = rings(range(5), 3.0)
    given = landmarks.copy()
    correction = drag_landmarks(landmarks, true, masks, join)
    assert np.array_equal(landmarks, given)
    for i in range(5):
        scores, way = slow_drags(landmarks[i], true[i], masks[i])
        np.testing.assert_allclose(correction.dice[i], scores)
        np.testing.assert_allclose(correction.way[i], way, rtol=1e-5)
    assert (correction.dice[:, -1] == 1).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), radius=st.sampled_from([0, 1, 2, 4.5, 8]), noise=st.floats(0, 6))
def test_each_stroke_mends_and_stays_within_its_brush(seed, radius, noise):
    true = fill_polygons(join(rings([seed], 1.0)), SIZE)
    masks = fill_polygons(join(rings([seed + 1], noise)), SIZE)
    before = masks.copy()
    correction = brush_masks(masks, true, radius=radius, strokes=6)
    assert np.array_equal(masks, before)
    assert correction.dice[0, 0] == dice(masks, true)[0]
    assert (np.diff(correction.way) >= 0).all()
    moved = np.diff(correction.dice[0]) != 0
    assert not moved[np.argmin(moved) :].any() or moved.all(), "a stroke after one that mended nothing"


def test_a_hole_of_the_brush_takes_one_stroke_of_no_way():
    true = np.zeros((1, *SIZE), dtype=np.uint8)
    cv2.circle(true[0], (24, 24), 15, 1, -1)
    masks = true.copy()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    masks[0][np.hypot(x - 20, y - 26) <= 4] = 0
    painted = brush_masks(masks, true, radius=4)
    assert painted.dice[0, 1] == 1
    assert painted.way[0, 1] == 0
    erased = brush_masks(1 - masks, 1 - true, radius=4)
    assert erased.dice[0, 1] == 1


def test_a_large_brush_comes_to_an_end():
    # of kernels from 11 on OpenCV sums by FFT, whose zeros are not quite zero
    true = fill_polygons(join(rings([1], 1.0)), SIZE)
    masks = fill_polygons(join(rings([2], 4.0)), SIZE)
    assert brush_masks(masks, true, radius=8).dice[0, -1] >= dice(masks, true)[0]


def test_the_person_stops_where_it_is_enough():
    true = fill_polygons(join(rings([1], 0.0)), SIZE)
    masks = fill_polygons(join(rings([2], 5.0)), SIZE)
    whole = brush_masks(masks, true, radius=2).dice[0]
    target = float(whole[2])
    assert target < whole[-1]
    assert brush_masks(masks, true, radius=2, enough=target).dice[0, -1] == target


def test_steps_until_the_first_that_reaches_it():
    true = rings(range(3), 0.0)
    masks = fill_polygons(join(true), SIZE)
    correction = drag_landmarks(rings(range(3), 4.0), true, masks, join)
    steps, way = steps_until(correction, 0.95)
    for i in range(3):
        first = next(s for s, score in enumerate(correction.dice[i]) if score >= 0.95)
        assert (steps[i], way[i]) == (first, correction.way[i, first])
    assert np.isinf(steps_until(correction, 1.1)[0]).all()


def test_the_command_sees_what_the_run_was_trained_on(disc_store, tmp_path, monkeypatch):
    import echoseg.evaluation.run_data
    from echoseg.cli import main
    from echoseg.training.config import Config
    from echoseg.training.loop import train

    config = Config(approach="mask", size=(32, 32), depth=2, width=4, epochs=1, device="cpu", fov_mm=80.0)
    train(config, disc_store, tmp_path / "run")
    asked = {}
    module = echoseg.evaluation.run_data
    monkeypatch.setattr(module, "prepare", lambda data, **options: asked.update(options) or disc_store)
    for command in (["effort", "--radius", "2"], ["evaluate", "--out", str(tmp_path / "out")]):
        assert main([command[0], str(tmp_path / "run"), "--data", "anywhere", *command[1:]]) == 0
        assert asked == {"size": (32, 32), "ordering": None, "fov_mm": 80.0}
        asked.clear()


@pytest.mark.parametrize("approach", ["landmark", "mask"])
def test_the_command_counts(approach, disc_store, tmp_path, capsys):
    import pandas as pd

    from echoseg.cli import main
    from echoseg.training.config import Config
    from echoseg.training.loop import train

    config = Config(approach=approach, size=(32, 32), depth=2, width=4, epochs=1, device="cpu", landmarks=5)
    train(config, disc_store, tmp_path / "run")
    table = tmp_path / "effort.csv"
    arguments = ["effort", str(tmp_path / "run"), "--data", str(disc_store.path), "--radius", "2", "--out", str(table)]
    assert main(arguments) == 0
    assert "brush of radius 2" in capsys.readouterr().out
    rows = pd.read_csv(table)
    tools = {"brush of radius 2"} | ({"drag a landmark"} if approach == "landmark" else set())
    assert set(rows["tool"]) == tools
    assert len(rows) == 8 * 2 * len(tools)
    assert (rows["steps"] >= 0).all()
    assert main(arguments) == 1
