from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from echoseg.geometry.contour import contour_area
from echoseg.geometry.outline import outline_of_mask
from echoseg.ops import fill_polygons

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.booleans())


def pieces(mask: np.ndarray) -> list[np.ndarray]:
    """Every piece that hangs together by edges, its holes closed."""
    labels, count = ndimage.label(mask)
    return [
        ndimage.binary_fill_holes(labels == piece, ndimage.generate_binary_structure(2, 2))
        for piece in range(1, count + 1)
    ]


@settings(max_examples=300)
@given(mask=MASKS)
def test_filled_it_gives_the_largest_piece_back(mask):
    outline = outline_of_mask(mask)
    if outline is None:
        assert not mask.any()
        return
    assert outline.dtype == np.float32
    filled = fill_polygons(outline[None], mask.shape)[0].astype(bool)
    found = pieces(mask)
    assert any((filled == piece).all() for piece in found)
    # a contour cuts the corners of its pixels, so what counts as largest is open among pieces of nearly one size
    assert contour_area(outline) >= max(float(contour_area(outline_of_mask(piece))) for piece in found)


def test_holes_and_islands_are_left_out():
    mask = np.zeros((30, 40), np.uint8)
    mask[5:25, 5:20] = mask[2:5, 30:33] = 1
    mask[10:14, 8:12] = 0
    outline = outline_of_mask(mask)
    assert (outline.min(axis=0) == (4.5, 4.5)).all()
    assert (outline.max(axis=0) == (19.5, 24.5)).all()
    assert fill_polygons(outline[None], mask.shape)[0].sum() == 20 * 15


def test_one_pixel_at_the_corner_has_an_outline():
    mask = np.eye(1, 9, dtype=np.uint8).repeat(1, axis=0)
    outline = outline_of_mask(mask)
    assert len(outline) == 4
    assert (fill_polygons(outline[None], mask.shape)[0] == mask).all()


def test_only_one_mask_at_a_time():
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        outline_of_mask(np.zeros((2, 3, 4)))
