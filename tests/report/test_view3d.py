from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.report.view3d import border_points, surface, write_view

AFFINE = np.array([[0, 0, 1.4, -30], [0, -1.4, 0, 60], [9, 0, 0, 5], [0, 0, 0, 1.0]])  # (slice, row, column) to mm


def ball(radius=28.0, slices=9, side=64, affine=AFFINE, scale=(1, 1, 1)):
    """The masks of a ball in the middle of the stack; its radius is in mm."""
    places = np.stack(np.meshgrid(np.arange(slices), np.arange(side), np.arange(side), indexing="ij"), axis=-1)
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    away = (places - (np.array([slices, side, side]) - 1) / 2) * sides / scale
    return ((away**2).sum(axis=-1) < radius**2).astype(np.uint8)


def enclosed(vertices, triangles):
    """Signed volume by the divergence theorem: positive if triangles are counterclockwise seen from outside."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    return np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6


def is_closed(triangles):
    """Whether every edge belongs to two triangles, once in each direction."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forward, backward = ({tuple(edge) for edge in each} for each in (edges.tolist(), edges[:, ::-1].tolist()))
    return len(forward) == len(edges) and forward == backward


@pytest.mark.slow
@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("scale", [(1, 1, 1), (1.2, 0.7, 1)])
def test_surface_encloses_the_volume_of_the_slices(flip, scale):
    affine = AFFINE * [1, 1, flip, 1]
    masks = ball(affine=affine, scale=scale)
    vertices, triangles = surface(masks, affine)
    voxels = masks.sum() * abs(np.linalg.det(affine[:3, :3]))
    assert is_closed(triangles)
    assert enclosed(vertices, triangles) == pytest.approx(voxels, rel=0.05)
    centre = affine[:3] @ [4, 31.5, 31.5, 1]
    np.testing.assert_allclose((vertices.min(axis=0) + vertices.max(axis=0)) / 2, centre, atol=0.1)


def test_surface_lies_on_the_outlines_of_a_cylinder():
    masks = np.repeat(ball(slices=1), 5, axis=0)
    vertices, _ = surface(masks, AFFINE)
    x, y, z = (vertices - AFFINE[:3] @ [0, 31.5, 31.5, 1]).T
    between = (z > 0) & (z < 36)
    np.testing.assert_allclose(np.hypot(x, y)[between], 28, atol=1.2)
    assert (z.min(), z.max()) == (pytest.approx(-4.5, abs=0.3), pytest.approx(40.5, abs=0.3))


def test_surfaces_of_an_empty_stack_and_of_one_pixel():
    masks = np.zeros((3, 16, 16), np.uint8)
    assert [part.shape for part in surface(masks, AFFINE)] == [(0, 3), (0, 3)]
    masks[1, 0, 15] = 1
    surface(masks, AFFINE)
    assert len(border_points(masks, AFFINE)) == 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_surfaces_of_random_masks_are_closed(data):
    shape = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)))
    bits = np.random.default_rng(data.draw(st.integers(0, 999))).random(shape)
    sides = data.draw(st.lists(st.floats(0.3, 12), min_size=3, max_size=3))
    masks = (bits < data.draw(st.floats(0, 1))).astype(np.uint8)
    vertices, triangles = surface(masks, np.diag([*sides, 1.0]))
    assert np.isfinite(vertices).all()
    assert is_closed(triangles)
    beyond = np.array([1, 2, 2])
    assert (vertices >= -beyond * sides).all()
    assert (vertices <= (np.array(shape) - 1 + beyond) * sides).all()


def test_points_are_the_border_pixels_in_mm():
    masks = ball()
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    inner = padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:] & padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1]
    expected = [AFFINE[:3] @ [*place, 1] for place in np.argwhere(masks & ~inner & 1)]
    np.testing.assert_allclose(border_points(masks, AFFINE), expected)


@pytest.mark.slow
def test_page_loads_nothing_and_escapes_names(tmp_path):
    path = tmp_path / "view.html"
    masks = {"prediction": ball(), "truth": np.zeros_like(ball())}
    write_view(path, masks, AFFINE, "<b>.nii", {"volume": "12.3 ml"})
    text = path.read_text(encoding="utf-8")
    assert "&lt;b&gt;.nii" in text
    assert "12.3 ml" in text
    assert "Plotly.newPlot" in text
    assert not re.search("<link|<script src|@import", text)
