from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from echoseg.geometry.contour import contour_area
from echoseg.geometry.level_set import level_set_contour, mask_contour
from echoseg.ops import fill_polygons

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans())


def pieces(mask: np.ndarray) -> list[np.ndarray]:
    """Every piece that hangs together by edges, its holes closed."""
    labels, count = ndimage.label(mask)
    return [
        ndimage.binary_fill_holes(labels == piece, ndimage.generate_binary_structure(2, 2))
        for piece in range(1, count + 1)
    ]


@pytest.mark.slow
@settings(max_examples=300)
@given(mask=MASKS)
def test_filled_it_gives_the_largest_piece_back(mask):
    contour = mask_contour(mask)
    if not len(contour):
        assert not mask.any()
        return
    assert contour.dtype == np.float32
    filled = fill_polygons(contour[None], mask.shape)[0].astype(bool)
    found = pieces(mask)
    assert any((filled == piece).all() for piece in found)
    # a contour cuts the corners of its pixels, so what counts as largest is open among pieces of nearly one size
    assert contour_area(contour) >= max(float(contour_area(mask_contour(piece))) for piece in found)


def test_holes_and_islands_are_left_out():
    mask = np.zeros((30, 40), np.uint8)
    mask[5:25, 5:20] = mask[2:5, 30:33] = 1
    mask[10:14, 8:12] = 0
    contour = mask_contour(mask)
    assert (contour.min(axis=0) == (4.5, 4.5)).all()
    assert (contour.max(axis=0) == (19.5, 24.5)).all()
    assert fill_polygons(contour[None], mask.shape)[0].sum() == 20 * 15


def test_one_pixel_at_the_corner_has_an_contour():
    mask = np.eye(1, 9, dtype=np.uint8).repeat(1, axis=0)
    contour = mask_contour(mask)
    assert len(contour) == 4
    assert (fill_polygons(contour[None], mask.shape)[0] == mask).all()


def test_only_one_mask_at_a_time():
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        mask_contour(np.zeros((2, 3, 4)))


@pytest.mark.slow
@settings(max_examples=300)
@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.integers(0, 20).map(lambda n: n / 20 + 0.01),
    ),
    level=st.sampled_from([0.3, 0.5, 0.7]),
)
def test_a_level_set_filled_gives_a_piece_of_what_is_above_the_level(values, level):
    contour, count = level_set_contour(values, level)
    above = values > level
    assert (count == 0) == (not above.any()) == (len(contour) == 0)
    if not count:
        return
    filled = fill_polygons(contour[None], values.shape)[0].astype(bool)
    labels, most = ndimage.label(above)  # by edges; the level set may join pieces that touch by a corner
    fewest = ndimage.label(above, ndimage.generate_binary_structure(2, 2))[1]
    assert fewest <= count <= most
    touched = np.unique(labels[filled & above])
    assert not (np.isin(labels, touched) & above & ~filled).any()
    holes = filled & ~above
    assert not (holes & ~ndimage.binary_fill_holes(above & filled, ndimage.generate_binary_structure(2, 1))).any()


def test_a_level_set_lies_between_the_pixels_where_the_level_is():
    y, x = np.mgrid[:40, :50].astype(np.float64)
    cone = 10 - np.hypot(x - 24.3, y - 19.6)
    for level in (0.0, 2.5, 6.0):
        contour, count = level_set_contour(cone, level)
        assert count == 1
        radius = np.hypot(*(contour - (24.3, 19.6)).T)
        np.testing.assert_allclose(radius, 10 - level, atol=0.05)


def test_at_the_border_of_the_image_a_level_set_runs_along_the_pixels_edges():
    contour, _ = level_set_contour(np.full((3, 5), 0.9), 0.5)
    np.testing.assert_allclose(contour.min(axis=0), -0.5)
    np.testing.assert_allclose(contour.max(axis=0), (4.5, 2.5))


def test_of_several_pieces_the_largest_counts():
    values = np.zeros((30, 40))
    values[5:15, 5:15], values[20:24, 30:34] = 0.9, 1.0
    contour, count = level_set_contour(values, 0.5)
    assert count == 2
    assert (contour < 15).all()
    values[8:12, 8:12] = 0.0  # a hole is no piece
    assert level_set_contour(values, 0.5)[1] == 2
