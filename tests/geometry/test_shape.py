from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.geometry.shape import CLAMP, fit_shapes, load_shapes

random = np.random.default_rng(0)
t = 2 * np.pi * np.arange(8) / 8


def posed(outlines, turns, scales, shifts):
    c, s = scales * np.cos(turns), scales * np.sin(turns)
    turn = np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)
    return outlines @ turn.transpose(0, 2, 1) + shifts[:, None]


def eggs(count):
    """Ellipses of many proportions with a pointed end and a little noise, in many poses."""
    thin, point = random.normal(0.6, 0.05, (count, 1)), random.normal(0, 0.05, (count, 1))
    outlines = np.stack([thin * np.sin(t) * (1 + point * np.cos(t)), -np.cos(t) * np.ones((count, 1))], axis=2)
    outlines += random.normal(0, 0.005, outlines.shape)
    return posed(
        outlines,
        random.uniform(-0.5, 0.5, count),
        random.uniform(15, 30, count),
        random.uniform(30, 80, (count, 2)),
    )


training = eggs(400)
model = fit_shapes(training)


def spoilt(outlines):
    """Ways in which no outline of the training set ever looked."""
    far, swapped, mirrored = (outlines.copy() for _ in range(3))
    far[:, 3] += [0, 60]
    swapped[:, [1, 6]] = swapped[:, [6, 1]]
    mirrored[..., 0] *= -1
    round_ones = np.stack([np.sin(t), -np.cos(t)], axis=1) * 25 + outlines[:, :1]
    return {"far": far, "swapped": swapped, "mirrored": mirrored, "round": round_ones}


def test_the_variance_is_that_of_the_shapes_alone():
    """Two ways to differ were put in; position, angle and scale are none."""
    largest = np.sort(model.variances)[::-1]
    assert largest[:2].sum() > 0.95 * largest.sum()
    assert (largest[-4:] < 1e-8 * largest[0]).all()
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(16), atol=1e-9)


def test_impossible_outlines_are_flagged_and_training_ones_not():
    assert (model.distances(training) > model.limit).mean() <= 0.005
    assert (model.distances(eggs(200)) > model.limit).mean() < 0.03
    for name, outlines in spoilt(eggs(50)).items():
        assert (model.distances(outlines) > model.limit).all(), name


@settings(max_examples=30)
@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(-200, 200), st.integers(0, 399))
def test_the_distance_does_not_depend_on_the_pose(turn, scale, shift, i):
    moved = posed(training[i : i + 1], np.array([turn]), np.array([scale]), np.array([[shift, -shift]]))
    np.testing.assert_allclose(model.distances(moved), model.distances(training[i : i + 1]), rtol=1e-6)


def test_pulling_back_moves_the_stray_landmark_and_leaves_the_others():
    possible = training[model.distances(training) <= model.limit]
    assert np.array_equal(model.regularize(possible), possible.astype(np.float32))
    true = eggs(50)
    broken = true.copy()
    broken[:, 3] += [0, 30]
    assert (model.distances(broken) > model.limit).all()
    pulled = model.regularize(broken)
    assert pulled.dtype == np.float32
    assert (model.distances(pulled) < CLAMP * np.sqrt(16)).all()
    off = np.linalg.norm(pulled - true, axis=2)
    assert off[:, 3].mean() < 6
    assert np.delete(off, 3, axis=1).mean() < 2


def test_a_point_is_impossible_and_stays():
    point = np.full((1, 8, 2), 5.0)
    assert model.distances(point) == np.inf
    assert np.array_equal(model.regularize(point), point.astype(np.float32))
    assert model.distances(point[:0]).shape == (0,)


def test_a_model_survives_its_file(tmp_path):
    model.save(tmp_path / "shape.json")
    again = load_shapes(tmp_path / "shape.json")
    assert np.array_equal(again.distances(training), model.distances(training))
    assert again.limit == model.limit
    for text in ('{"mean": [1', '{"mean": [1]}', "[]"):
        (tmp_path / "shape.json").write_text(text)
        with pytest.raises(DataError, match=r"shape.json: damaged .*; train anew"):
            load_shapes(tmp_path / "shape.json")
