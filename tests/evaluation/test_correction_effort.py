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


def noisy_circles(seeds, noise):
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    circle = np.stack([24 + 15 * np.sin(angle), 24 - 12 * np.cos(angle)], axis=1)
    shift = np.stack([np.random.default_rng(seed).normal(0, noise, circle.shape) for seed in seeds])
    return (circle + shift).astype(np.float32)


def reference_drags(landmarks, true, mask):
    landmarks, scores, path = landmarks.copy(), [], [0.0]
    for _ in range(len(true) + 1):
        scores.append(dice(fill_polygons(join(landmarks[None]), SIZE), mask[None])[0])
        errors = [float(np.hypot(*(a - b))) for a, b in zip(landmarks, true, strict=True)]
        worst = int(np.argmax(errors))
        landmarks[worst] = true[worst]
        path.append(path[-1] + errors[worst])
    return scores, path[:-1]


def test_drags_in_a_batch_equal_drags_of_single_images():
    true = noisy_circles(range(5), 0.0)
    masks = fill_polygons(join(true), SIZE)
    landmarks = noisy_circles(range(5), 3.0)
    before = landmarks.copy()
    correction = drag_landmarks(landmarks, true, masks, join)
    assert np.array_equal(landmarks, before)
    for i in range(5):
        scores, path = reference_drags(landmarks[i], true[i], masks[i])
        np.testing.assert_allclose(correction.dice[i], scores)
        np.testing.assert_allclose(correction.path[i], path, rtol=1e-5)
    assert (correction.dice[:, -1] == 1).all()


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), radius=st.sampled_from([0, 1, 2, 4.5, 8]), noise=st.floats(0, 6))
def test_strokes_stop_once_one_changes_nothing(seed, radius, noise):
    true = fill_polygons(join(noisy_circles([seed], 1.0)), SIZE)
    masks = fill_polygons(join(noisy_circles([seed + 1], noise)), SIZE)
    before = masks.copy()
    correction = brush_masks(masks, true, radius=radius, strokes=6)
    assert np.array_equal(masks, before)
    assert correction.dice[0, 0] == dice(masks, true)[0]
    assert (np.diff(correction.path) >= 0).all()
    moved = np.diff(correction.dice[0]) != 0
    assert not moved[np.argmin(moved) :].any() or moved.all(), "a stroke follows one that changed nothing"


def test_hole_of_the_size_of_the_brush_takes_one_stroke_of_length_zero():
    true = np.zeros((1, *SIZE), dtype=np.uint8)
    cv2.circle(true[0], (24, 24), 15, 1, -1)
    masks = true.copy()
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    masks[0][np.hypot(x - 20, y - 26) <= 4] = 0
    painted = brush_masks(masks, true, radius=4)
    assert painted.dice[0, 1] == 1
    assert painted.path[0, 1] == 0
    erased = brush_masks(1 - masks, 1 - true, radius=4)
    assert erased.dice[0, 1] == 1


def test_stroke_of_a_large_brush_ends():
    # OpenCV filters with kernels from 11 pixels by FFT, where zeros have rounding errors
    true = fill_polygons(join(noisy_circles([1], 1.0)), SIZE)
    masks = fill_polygons(join(noisy_circles([2], 4.0)), SIZE)
    assert brush_masks(masks, true, radius=8).dice[0, -1] >= dice(masks, true)[0]


def test_strokes_stop_at_the_goal():
    true = fill_polygons(join(noisy_circles([1], 0.0)), SIZE)
    masks = fill_polygons(join(noisy_circles([2], 5.0)), SIZE)
    scores = brush_masks(masks, true, radius=2).dice[0]
    goal = float(scores[2])
    assert goal < scores[-1]
    assert brush_masks(masks, true, radius=2, goal=goal).dice[0, -1] == goal


def test_steps_until_the_goal_is_reached():
    true = noisy_circles(range(3), 0.0)
    masks = fill_polygons(join(true), SIZE)
    correction = drag_landmarks(noisy_circles(range(3), 4.0), true, masks, join)
    steps, path = steps_until(correction, 0.95)
    for i in range(3):
        first = next(s for s, score in enumerate(correction.dice[i]) if score >= 0.95)
        assert (steps[i], path[i]) == (first, correction.path[i, first])
    assert np.isinf(steps_until(correction, 1.1)[0]).all()


@pytest.mark.slow
def test_commands_prepare_the_data_with_the_options_of_the_run(disc_store, tmp_path, monkeypatch):
    import echoseg.evaluation.run_data
    from echoseg.cli import main
    from echoseg.training.config import Config
    from echoseg.training.loop import train

    config = Config(approach="mask", size=(32, 32), depth=2, width=4, epochs=1, device="cpu", fov_mm=80.0)
    train(config, disc_store, tmp_path / "run")
    received = {}
    module = echoseg.evaluation.run_data
    monkeypatch.setattr(module, "prepare", lambda data, **options: received.update(options) or disc_store)
    for command in (["effort", "--radius", "2"], ["evaluate", "--out", str(tmp_path / "out")]):
        assert main([command[0], str(tmp_path / "run"), "--data", "anywhere", *command[1:]]) == 0
        assert {**received, "axis3": None, "patients": None} == received
        assert (
            received.items()
            >= {"size": (32, 32), "ordering": None, "fov_mm": 80.0, "structure": "left ventricle"}.items()
        )
        received.clear()


@pytest.mark.parametrize("approach", ["landmark", "mask"])
def test_effort_command_writes_a_table(approach, disc_store, tmp_path, capsys):
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
