from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.ops import border_band_from_contours, fill_polygons
from reference import area, coverage, fill_center, fill_opencv, random_batch

ORACLES = {"center": fill_center, "opencv": fill_opencv}
COUNT = 100  # polygons a seed; 100 seeds make the 10,000
SEEDS = [
    pytest.param(range(s, s + 10), marks=[pytest.mark.slow] if s else [], id=f"{s}-{s + 9}") for s in range(0, 100, 10)
]


@pytest.mark.parametrize("rule", ORACLES)
@pytest.mark.parametrize("seeds", SEEDS)
def test_equals_the_oracle_in_every_pixel(rule, seeds):
    for seed in seeds:
        random = np.random.default_rng(seed)
        size = tuple(int(side) for side in random.integers(1, 140 if rule == "opencv" else 70, 2))
        contours, points, offsets = random_batch(random, size, COUNT)
        masks = fill_polygons(points, size, offsets=offsets, rule=rule)
        wrong = [
            (seed, i, contours[i].tolist(), size)
            for i in range(COUNT)
            if not np.array_equal(masks[i], ORACLES[rule](contours[i], size))
        ]
        assert not wrong, wrong[0]


@pytest.mark.slow
@pytest.mark.parametrize("rule", ORACLES)
@pytest.mark.parametrize("width", [1, 63, 64, 65, 128, 129])
def test_widths_around_whole_words(rule, width):
    random = np.random.default_rng(width)
    contours, points, offsets = random_batch(random, (31, width), 200)
    masks = fill_polygons(points, (31, width), offsets=offsets, rule=rule)
    for mask, contour in zip(masks, contours, strict=True):
        np.testing.assert_array_equal(mask, ORACLES[rule](contour, (31, width)))


@pytest.mark.parametrize("seed", range(15))
def test_coverage_equals_the_oracle(seed):
    random = np.random.default_rng(seed)
    size = tuple(int(side) for side in random.integers(1, 12, 2))
    contours, points, offsets = random_batch(random, size, 12)
    areas = fill_polygons(points, size, offsets=offsets, rule="coverage")
    assert areas.dtype == np.float32
    for drawn, contour in zip(areas, contours, strict=True):
        # The oracle loses precision near the origin if a corner is a million pixels away.
        far = abs(contour).max() > 1e4
        np.testing.assert_allclose(drawn, coverage(contour, size), rtol=0, atol=1e-4 if far else 3e-7)


@given(st.integers(0, 2**32 - 1))
def test_coverage_sums_to_the_area_in_both_orientations(seed):
    random = np.random.default_rng(seed)
    points = random.integers(3, 60)
    angle = (np.arange(points) + random.uniform(-0.2, 0.2, points)) * (2 * np.pi / points)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    contour = (random.uniform(20, 43, 2) + circle * random.uniform(1, 20, (angle.size, 1))).astype(np.float32)
    areas = fill_polygons(contour[None], (64, 64), rule="coverage")
    assert areas.sum(dtype=float) == pytest.approx(area(contour), abs=1e-4)
    assert areas.min() == 0
    assert areas[0, :, 63].max() == 0  # exactly, without a rounding error
    np.testing.assert_array_equal(fill_polygons(contour[None, ::-1].copy(), (64, 64), rule="coverage"), areas)


def test_coverage_of_winding_numbers_above_one():
    square = np.array([[0.5, 0.5], [4.5, 0.5], [4.5, 3.5], [0.5, 3.5]], np.float32)
    once = fill_polygons(square[None], (7, 7), rule="coverage")
    np.testing.assert_array_equal(fill_polygons(np.tile(square, (1, 900, 1)), (7, 7), rule="coverage"), once)
    back_and_forth = np.concatenate([square, square[:1], square[::-1]])[None]
    assert fill_polygons(back_and_forth, (7, 7), rule="coverage").max() == 0


@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_coverage_of_contours_partly_outside_the_image(side):
    contour = np.random.default_rng(5).integers(-30 * 64, 50 * 64, (9, 2)).astype(np.float32) / 64
    whole = fill_polygons(contour[None] + np.float32(32), (96, 96), rule="coverage")[0, 32:52, 32:52]
    np.testing.assert_allclose(fill_polygons(contour[None], (20, 20), rule="coverage")[0], whole, rtol=0, atol=1e-6)
    shift = {"left": (-90, 0), "right": (90, 0), "top": (0, -90), "bottom": (0, 90)}[side]
    assert fill_polygons(contour[None] + np.float32(shift), (20, 20), rule="coverage").max() == 0


@pytest.mark.parametrize("rule", [*ORACLES, "coverage"])
def test_large_image_and_many_points(rule):
    random = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    reach = 1500 + 400 * np.sin(9 * angle) + random.normal(0, 20, angle.size)
    contour = (2048 + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)
    mask = fill_polygons(contour[None], (4096, 4096), rule=rule)[0]
    if rule == "opencv":
        np.testing.assert_array_equal(mask, fill_opencv(contour, (4096, 4096)))
    elif rule == "coverage":
        assert mask.sum(dtype=float) == pytest.approx(area(contour), rel=1e-6)
    else:
        # The area by the shoelace formula.
        assert mask.sum(dtype=int) == pytest.approx(area(contour), rel=1e-4)


def test_masks_that_exceed_the_caches():
    random = np.random.default_rng(6)
    size, count = (331, 357), 300  # 35 MB: written past the caches; a tenth of them is not
    points = random.uniform(-50, 400, (count, 9, 2)).astype(np.float32)
    for draw in (fill_polygons, border_band_from_contours):
        together = draw(points, size)
        for start in range(0, count, count // 10):
            part = slice(start, start + count // 10)
            np.testing.assert_array_equal(together[part], draw(points[part], size))


def test_center_agrees_with_skimage_and_has_no_area_bias():
    draw = pytest.importorskip("skimage.draw")
    random = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, 42, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    contours = (56 + circle * random.uniform(15, 50, (200, 42, 1)) + random.uniform(-3, 3, (200, 1, 2))).astype(
        np.float32
    )
    masks = fill_polygons(contours, (112, 112))
    for mask, contour in zip(masks, contours, strict=True):
        np.testing.assert_array_equal(mask, draw.polygon2mask((112, 112), contour[:, ::-1]).astype(np.uint8))
    x, y = contours[..., 0].astype(float), contours[..., 1].astype(float)
    areas = abs(np.sum(x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1), axis=1)) / 2
    assert masks.sum(axis=(1, 2)) / areas == pytest.approx(1, abs=0.02)
    assert (masks.sum(axis=(1, 2)) / areas).mean() == pytest.approx(1, abs=0.001)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.booleans())
def test_polygons_that_share_an_edge_tile_the_plane(seed, side, on_grid):
    """A random path divides a rectangle into two parts: every pixel is in exactly one of them."""
    random = np.random.default_rng(seed)
    path = random.uniform(-5, side + 5, (random.integers(2, 8), 2))
    if on_grid:
        path = np.round(path * 2) / 2
    frame = np.array([[-9, -9], [side + 9, -9], [side + 9, side + 9], [-9, side + 9]])
    first = np.concatenate([frame[:1], path, frame[2:3], frame[3:]]).astype(np.float32)
    second = np.concatenate([frame[2:3], path[::-1], frame[:1], frame[1:2]]).astype(np.float32)
    a, b = (fill_polygons(part[None], (side, side))[0] for part in (first, second))
    np.testing.assert_array_equal(a ^ b, 1)  # also where the path crosses itself or the frame


@pytest.mark.parametrize("rule", ORACLES)
def test_uniform_and_ragged_batches_are_equal(rule):
    random = np.random.default_rng(2)
    points = random.uniform(-10, 70, (50, 9, 2)).astype(np.float32)
    ragged = fill_polygons(points.reshape(-1, 2), (60, 50), offsets=np.arange(51) * 9, rule=rule)
    np.testing.assert_array_equal(fill_polygons(points, (60, 50), rule=rule), ragged)


def test_orientation_and_first_point_do_not_matter():
    contour = np.random.default_rng(3).uniform(0, 64, (1, 12, 2)).astype(np.float32)
    mask = fill_polygons(contour, (64, 64))
    np.testing.assert_array_equal(fill_polygons(np.ascontiguousarray(contour[:, ::-1]), (64, 64)), mask)
    np.testing.assert_array_equal(fill_polygons(np.roll(contour, 5, axis=1), (64, 64)), mask)


@pytest.mark.parametrize(
    ("contour", "center", "opencv"),
    [
        ([], 0, 0),
        ([[3, 3]], 0, 1),
        ([[1, 1], [6, 6]], 0, 6),
        ([[1, 4], [3, 4], [6, 4]], 0, 6),
        ([[2, 2]] * 5, 0, 1),
        ([[-1, -1], [-5, -3], [-2, -9]], 0, 0),
        ([[1e6, 1e6], [-1e6, 1e6], [-1e6, -1e6], [1e6, -1e6]], 64, 64),
    ],
    ids=["no point", "one point", "two points", "collinear", "repeated", "outside the image", "around the image"],
)
def test_degenerate_contours(contour, center, opencv):
    points = np.array(contour, np.float32).reshape(1, -1, 2)
    assert fill_polygons(points, (8, 8)).sum() == center
    assert fill_polygons(points, (8, 8), rule="opencv").sum() == opencv
    assert fill_polygons(points, (8, 8), rule="coverage").sum() == center  # only the last one has an area


def test_one_empty_contour_among_others():
    square = np.array([[1, 1], [1, 5], [5, 5], [5, 1]], np.float32)
    masks = fill_polygons(np.concatenate([square, square]), (8, 8), offsets=np.array([0, 4, 4, 8]))
    assert masks.sum(axis=(1, 2)).tolist() == [16, 0, 16]


@pytest.mark.parametrize("offsets", [[1, 4], [0, 3], [0, 5], [0, 3, 2, 4], [-1, 4]])
def test_offsets_that_do_not_fit_the_points(offsets):
    with pytest.raises(ValueError, match="offsets must"):
        fill_polygons(np.zeros((4, 2), np.float32), (8, 8), offsets=np.array(offsets))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, 2**20 + 1])
def test_invalid_coordinates(value):
    points = np.zeros((2, 4, 2), np.float32)
    points[1, 2, 0] = value
    with pytest.raises(ValueError, match="point 6 is not"):
        fill_polygons(points, (8, 8))
