from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.geometry.shape import fit_shapes, load_shapes

random = np.random.default_rng(0)
t = 2 * np.pi * np.arange(8) / 8


def transform(shapes, angles, scales, shifts):
    c, s = scales * np.cos(angles), scales * np.sin(angles)
    linear = np.stack([np.stack([c, -s], axis=1), np.stack([s, c], axis=1)], axis=1)
    return shapes @ linear.transpose(0, 2, 1) + shifts[:, None]


def make_shapes(count):
    """Egg-shaped landmarks with two degrees of freedom (width, asymmetry), some noise, and random poses."""
    width, asymmetry = random.normal(0.6, 0.05, (count, 1)), random.normal(0, 0.05, (count, 1))
    x = width * np.sin(t) * (1 + asymmetry * np.cos(t))
    shapes = np.stack([x, -np.cos(t) * np.ones((count, 1))], axis=2)
    shapes += random.normal(0, 0.005, shapes.shape)
    return transform(
        shapes,
        random.uniform(-0.5, 0.5, count),
        random.uniform(15, 30, count),
        random.uniform(30, 80, (count, 2)),
    )


training = make_shapes(400)
model = fit_shapes(training)


def make_implausible(shapes):
    """Shapes that differ from the training set in several ways."""
    far, swapped, mirrored = (shapes.copy() for _ in range(3))
    far[:, 3] += [0, 60]
    swapped[:, [1, 6]] = swapped[:, [6, 1]]
    mirrored[..., 0] *= -1
    circles = np.stack([np.sin(t), -np.cos(t)], axis=1) * 25 + shapes[:, :1]
    return {"far": far, "swapped": swapped, "mirrored": mirrored, "circle": circles}


def test_the_components_describe_shape_but_not_pose():
    """The shapes have two degrees of freedom; position, rotation and scale are removed."""
    largest = np.sort(model.variances)[::-1]
    assert largest[:2].sum() > 0.95 * largest.sum()
    assert (largest[-4:] < 1e-8 * largest[0]).all()
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(16), atol=1e-9)


def test_implausible_shapes_exceed_the_limit_and_training_shapes_do_not():
    assert (model.distances(training) > model.limit).mean() <= 0.005
    assert (model.distances(make_shapes(200)) > model.limit).mean() < 0.03
    for name, shapes in make_implausible(make_shapes(50)).items():
        assert (model.distances(shapes) > model.limit).all(), name


@settings(max_examples=30)
@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(-200, 200), st.integers(0, 399))
def test_the_distance_does_not_depend_on_the_pose(angle, scale, shift, i):
    moved = transform(training[i : i + 1], np.array([angle]), np.array([scale]), np.array([[shift, -shift]]))
    np.testing.assert_allclose(model.distances(moved), model.distances(training[i : i + 1]), rtol=1e-6)


def test_equal_landmarks_are_implausible():
    point = np.full((1, 8, 2), 5.0)
    assert model.distances(point) == np.inf
    assert model.distances(point[:0]).shape == (0,)


def test_a_saved_model_is_loaded_unchanged(tmp_path):
    model.save(tmp_path / "shape.json")
    loaded = load_shapes(tmp_path / "shape.json")
    assert np.array_equal(loaded.distances(training), model.distances(training))
    assert loaded.limit == model.limit
    for text in ('{"mean": [1', '{"mean": [1]}', "[]"):
        (tmp_path / "shape.json").write_text(text)
        with pytest.raises(DataError, match=r"shape.json: damaged .*; train again"):
            load_shapes(tmp_path / "shape.json")
