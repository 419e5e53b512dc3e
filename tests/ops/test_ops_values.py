"""Every operator on extreme values compared with exact oracles; ECHOSEG_EXAMPLES sets the number of examples."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import reference
from _operators import operators
from echoseg import ops

LIMIT = 2.0**20
INVALID = (np.nan, np.inf, -np.inf, 3e38, -3e38, np.nextafter(np.float32(LIMIT), np.float32(np.inf)), -LIMIT - 1, 1e30)
# multiples of 1/32, for which the oracles are exact
ON_GRID = (
    0.0,
    -0.0,
    LIMIT,
    -LIMIT,
    LIMIT - 0.0625,
    LIMIT - 1,
    1 - LIMIT,
    32767.5,
    65536.0,
    0.5,
    -0.5,
    0.03125,
    7.0,
    8.0,
    64.0,
)
TINY = (1e-45, -1e-45, 1.2e-38, 0.49999997, 0.50000006, -0.50000006, 1 / 3, 1e-30, 7.9999995, 8.000001)

small = st.tuples(st.integers(1, 8), st.integers(1, 10))
sizes = st.tuples(st.integers(1, 9), st.integers(1, 12) | st.sampled_from([63, 64, 65]))
coordinates = st.integers(-96, 640).map(lambda i: i / 32) | st.sampled_from(ON_GRID)
outlines = st.lists(st.lists(st.tuples(coordinates, coordinates), max_size=7), max_size=3)
values = st.sampled_from([0, -0.0, 1e-45, -1e-45, 1e-38, 1, -1, 0.5, 3e38, -3e38, np.inf, -np.inf, np.nan]) | st.floats(
    0, 1, width=32
)
lengths = st.sampled_from([1e-3, 0.1, 1.1, 4.0, 9.4, LIMIT]) | st.floats(0.3, 20)
steps = st.sampled_from([1.0, 1e-9, 1e9, 0.3, 2.5])


def ragged(drawn):
    points = np.array([point for outline in drawn for point in outline], np.float32).reshape(-1, 2)
    return points, np.cumsum([0, *map(len, drawn)], dtype=np.int64)


def masks_of(data, count, size):
    bits = data.draw(st.integers(0, 2 ** (count * size[0] * size[1]) - 1)) if data.draw(st.booleans()) else 0
    random = np.random.default_rng(bits % 2**64)
    return np.uint8(random.random((count, *size)) < data.draw(st.sampled_from([0, 0.05, 0.5, 0.95, 1]))) * np.uint8(255)


@pytest.mark.slow
@given(outlines, sizes)
@example([[]], (1, 1))
@example([[(0, 0)], [(0, 0), (8, 8)], [(2, 2)] * 5, [(0, 0), (4, 4), (8, 8)]], (9, 9))
@example([[(-LIMIT, -LIMIT), (LIMIT, -LIMIT), (LIMIT, LIMIT), (-LIMIT, LIMIT)]], (9, 65))
def test_polygons(drawn, size):
    points, offsets = ragged(drawn)
    for rule, oracle in (("center", reference.fill_center), ("opencv", reference.fill_opencv)):
        masks = ops.fill_polygons(points, size, offsets=offsets, rule=rule)
        for i, mask in enumerate(masks):
            np.testing.assert_array_equal(mask, oracle(points[offsets[i] : offsets[i + 1]], size), rule)
    areas = ops.fill_polygons(points, size, offsets=offsets, rule="coverage")
    for i, area in enumerate(areas):
        contour = points[offsets[i] : offsets[i + 1]]
        np.testing.assert_allclose(area, reference.coverage(contour, size) if len(contour) else 0, atol=2e-6)


@given(st.lists(st.tuples(*[coordinates | st.sampled_from(TINY)] * 2), max_size=7), sizes)
def test_coordinates_off_the_grid(drawn, size):
    """Computed in fractions, except for pixels so close to a crossing that float64 may round it to them."""
    outline = [(Fraction(x), Fraction(y)) for x, y in np.array(drawn, np.float32).reshape(-1, 2).tolist()]
    expected, sure = np.zeros(size, np.uint8), np.ones(size, bool)
    for (xa, ya), (xb, yb) in zip(outline, outline[1:] + outline[:1], strict=True):
        (x0, y0), (x1, y1) = ((xa, ya), (xb, yb)) if ya <= yb else ((xb, yb), (xa, ya))
        for y in range(size[0]):
            if y0 <= y < y1:
                right = np.array([x - x0 - (y - y0) * (x1 - x0) / (y1 - y0) for x in range(size[1])])
                expected[y] ^= right >= 0
                sure[y] &= abs(right) > Fraction(1, 10**9)
    found = ops.fill_polygons(np.array(drawn, np.float32).reshape(1, -1, 2), size)[0]
    np.testing.assert_array_equal(found[sure], expected[sure])


@given(st.data(), st.sampled_from(INVALID))
def test_invalid_values(data, invalid):
    """The error names the array and the index of the point."""
    for operator in operators().values():
        for name in {"points", "contours", "landmarks", "previous"} & set(operator.arrays):
            array = operator.arrays[name].copy()
            index = data.draw(st.integers(0, array.size - 1))
            array.reshape(-1)[index] = invalid
            with pytest.raises(ValueError, match=f"{name} must be finite .*; point {index // 2} is not"):
                operator.run(operator.arrays | {name: array})


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 22) | st.just(2**62), max_size=5))
def test_offsets(offsets):
    array = np.array(offsets, np.int64)
    fits = bool(offsets) and offsets[0] == 0 and offsets[-1] == 21 and offsets == sorted(offsets)
    points = np.zeros((21, 2), np.float32)
    for call in (ops.fill_polygons, ops.border_band_from_contours):
        if fits:
            assert not call(points, (4, 4), offsets=array).any()
            continue
        with pytest.raises(ValueError, match="offsets must"):
            call(points, (4, 4), offsets=array)


@given(st.data(), sizes, st.integers(1, 7), st.sampled_from(["rect", "cross", "ellipse"]), st.integers(1, 3))
def test_bands(data, size, kernel_size, shape, iterations):
    masks = masks_of(data, 2, size)
    style = {"kernel_size": kernel_size, "shape": shape, "iterations": iterations}
    wide, narrow, band = (call(masks, **style) for call in (ops.dilate, ops.erode, ops.border_band))
    element = reference.kernel(kernel_size, shape)
    for i, mask in enumerate(masks // 255):
        expected = reference.dilate(mask, element, iterations), reference.erode(mask, element, iterations)
        np.testing.assert_array_equal(wide[i], expected[0])
        np.testing.assert_array_equal(narrow[i], expected[1])
        np.testing.assert_array_equal(band[i], expected[0] ^ expected[1])


@given(st.data(), sizes, st.sampled_from(["gaussian", "euclidean"]), lengths, lengths)
def test_heatmaps(data, size, kind, sigma, radius):
    pairs = data.draw(st.lists(st.tuples(coordinates | st.sampled_from(TINY), coordinates), min_size=4, max_size=4))
    landmarks = np.array(pairs, np.float32).reshape(2, 2, 2)
    band = masks_of(data, 2, size) if data.draw(st.booleans()) else None
    found = ops.render_heatmaps(landmarks, size, kind=kind, sigma=sigma, radius=radius, band=band)
    expected = reference.heatmaps(landmarks, size, kind, sigma, radius, band)
    sure = abs(reference.distance(landmarks, size) - radius) > 1e-6 * radius
    np.testing.assert_allclose(found[sure], expected[sure], atol=2e-6, rtol=0)
    assert found.min() >= 0
    assert found.max() <= 1


@given(st.data(), sizes)
def test_decoding(data, size):
    planes = np.zeros((2, size[0] * size[1]), np.float32)
    for plane in planes:
        for place, value in data.draw(st.lists(st.tuples(st.integers(0, plane.size - 1), values), max_size=12)):
            plane[place] = value
    planes = planes.reshape(1, 2, *size)
    for method, window in (("argmax", 5.0), ("soft_argmax", 2.5), ("soft_argmax", LIMIT), ("dark", 5.0)):
        points, confidence = ops.decode_heatmaps(planes, method=method, window=window)
        for plane, point, value in zip(planes[0], points[0], confidence[0], strict=True):
            top = reference.first_maximum(plane)
            np.testing.assert_array_equal(value, plane[top[::-1]])
            expected = np.array(top, float)
            if np.isfinite(value) and method == "soft_argmax":
                expected = np.array(reference.soft_argmax(plane, window))
            if np.isfinite(value) and method == "dark":
                assert abs(point - expected).max() <= 1
                continue
            np.testing.assert_allclose(point, expected, atol=2e-3)


@pytest.mark.slow
@given(st.data(), small, steps, steps)
def test_distances(data, size, dy, dx):
    masks, others = masks_of(data, 2, size), masks_of(data, 2, size)
    distances = ops.distance_transform(masks, spacing=(dy, dx))
    for mask, found in zip(masks, distances, strict=True):
        np.testing.assert_allclose(found, reference.distance_transform(mask, (dy, dx)), rtol=2e-7)
    hd95, assd = ops.surface_distances(masks, others, spacing=(dy, dx))
    for i in range(2):
        expected = reference.surface_distances(masks[i], others[i], (dy, dx))
        np.testing.assert_allclose((hd95[i], assd[i]), expected, rtol=1e-9)
    tolerance = dy * data.draw(st.integers(0, 9))
    nsd = ops.normalized_surface_dice(masks, others, tolerance=tolerance, spacing=(dy, dx))
    expected = [
        reference.normalized_surface_dice(a, b, tolerance, (dy, dx)) for a, b in zip(masks, others, strict=True)
    ]
    np.testing.assert_allclose(nsd, expected, rtol=1e-9)


OUT_OF_RANGE = (np.nan, np.inf, -1.0, 0.0, 9e-4, LIMIT + 1, 3e38, 10**400)
WRONG_TYPE = (True, "4", None, 4j, [4], np.array([4.0]), np.bool_(True))


@pytest.mark.parametrize("value", [*OUT_OF_RANGE, *WRONG_TYPE], ids=repr)
def test_invalid_numbers(value):
    landmarks, maps = np.zeros((1, 1, 2), np.float32), np.zeros((1, 1, 4, 4), np.float32)
    masks = np.zeros((1, 4, 4), np.uint8)
    calls = {
        "sigma": lambda: ops.render_heatmaps(landmarks, (4, 4), sigma=value),
        "radius": lambda: ops.render_heatmaps(landmarks, (4, 4), kind="euclidean", radius=value),
        "window": lambda: ops.decode_heatmaps(maps, window=value),
        "kernel_size": lambda: ops.dilate(masks, kernel_size=value),
        "iterations": lambda: ops.dilate(masks, iterations=value),
        "width": lambda: ops.fill_polygons(landmarks, (4, value)),
        "spacing": lambda: ops.distance_transform(masks, spacing=(1, -1 if value in (LIMIT + 1, 9e-4) else value)),
        "tolerance": lambda: ops.normalized_surface_dice(
            masks, masks, tolerance=-1 if value in (0, LIMIT + 1, 9e-4, 3e38) else value
        ),
    }
    for name, call in calls.items():
        with pytest.raises((TypeError, ValueError), match=name):
            call()


@pytest.mark.parametrize(
    ("arrays", "size"),
    [((2**40, 0, 2), (2**20, 2**20)), ((2**23, 0, 2), (2**20, 2**20)), ((2**43, 0, 2), (2**10, 2**10))],
)
def test_products_that_exceed_63_bits(arrays, size):
    """Contours without points need no memory, but their masks do."""
    points = np.zeros(arrays, np.float32)
    for call in (ops.fill_polygons, ops.border_band_from_contours):
        with pytest.raises(ValueError, match="too large to address"):
            call(points, size)
    assert ops.decode_heatmaps(np.zeros((2**40, 0, 8, 8), np.float32))[0].shape == (2**40, 0, 2)
