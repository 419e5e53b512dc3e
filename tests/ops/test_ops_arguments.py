"""Checks of arguments before memory is accessed, and the meaning of ``out``, for every operator."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg import ops

SIZE = (16, 24)
POINTS = np.random.default_rng(0).uniform(0, 16, (3, 8, 2)).astype(np.float32)
MASKS = np.random.default_rng(1).integers(0, 2, (3, *SIZE)).astype(np.uint8)
HEATMAPS = np.random.default_rng(2).random((3, 8, *SIZE)).astype(np.float32)

# name: (call, input, name of the input in messages, shape and dtype of out)
OPERATORS = {
    "fill_polygons": (lambda a, out=None: ops.fill_polygons(a, SIZE, out=out), POINTS, "points", (3, *SIZE), np.uint8),
    "dilate": (lambda a, out=None: ops.dilate(a, out=out), MASKS, "masks", (3, *SIZE), np.uint8),
    "erode": (lambda a, out=None: ops.erode(a, out=out), MASKS, "masks", (3, *SIZE), np.uint8),
    "border_band": (lambda a, out=None: ops.border_band(a, out=out), MASKS, "masks", (3, *SIZE), np.uint8),
    "distance_transform": (
        lambda a, out=None: ops.distance_transform(a, out=out),
        MASKS,
        "masks",
        (3, *SIZE),
        np.float32,
    ),
    "surface_distances": (
        lambda a, out=None: ops.surface_distances(a, MASKS[: len(a)], out=None if out is None else (out, np.empty(3)))[
            0
        ],
        MASKS[::-1].copy(),
        "predicted",
        (3,),
        np.float64,
    ),
    "normalized_surface_dice": (
        lambda a, out=None: ops.normalized_surface_dice(a, MASKS[: len(a)], tolerance=1, out=out),
        MASKS[::-1].copy(),
        "predicted",
        (3,),
        np.float64,
    ),
    "fill_polygons, coverage": (
        lambda a, out=None: ops.fill_polygons(a, SIZE, rule="coverage", out=out),
        POINTS,
        "points",
        (3, *SIZE),
        np.float32,
    ),
    "border_band_from_contours": (
        lambda a, out=None: ops.border_band_from_contours(a, SIZE, out=out),
        POINTS,
        "contours",
        (3, *SIZE),
        np.uint8,
    ),
    "render_heatmaps": (
        lambda a, out=None: ops.render_heatmaps(a, SIZE, out=out),
        POINTS,
        "landmarks",
        (3, 8, *SIZE),
        np.float32,
    ),
    "decode_heatmaps": (
        lambda a, out=None: ops.decode_heatmaps(a, out=None if out is None else (out, np.empty((3, 8), np.float32)))[0],
        HEATMAPS,
        "heatmaps",
        (3, 8, 2),
        np.float32,
    ),
}
every_operator = pytest.mark.parametrize(("call", "array", "name", "shape", "dtype"), OPERATORS.values(), ids=OPERATORS)


def misaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    copy = raw.view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


@every_operator
def test_out_is_returned(call, array, name, shape, dtype):
    expected = call(array)
    assert expected.shape == shape
    assert expected.dtype == dtype
    out = np.full(shape, 9, dtype)
    assert call(array, out) is out
    np.testing.assert_array_equal(out, expected)


@every_operator
def test_inputs_are_not_changed(call, array, name, shape, dtype):
    before = array.copy()
    before.setflags(write=False)
    call(before)
    np.testing.assert_array_equal(before, array)


@every_operator
def test_empty_batches(call, array, name, shape, dtype):
    assert call(array[:0]).shape == (0, *shape[1:])


@every_operator
def test_unsupported_inputs(call, array, name, shape, dtype):
    with pytest.raises(TypeError, match=f"{name} must be a NumPy array or a torch tensor, not list"):
        call(array.tolist())
    with pytest.raises(TypeError, match=f"{name} must be {array.dtype}, not float64"):
        call(array.astype(np.float64))
    with pytest.raises(ValueError, match=f"{name} must have the shape"):
        call(array[0])


@every_operator
def test_the_cure_in_the_message_about_the_layout(call, array, name, shape, dtype):
    layouts = [np.repeat(array, 2, axis=1)[:, ::2]]
    if array.itemsize > 1:
        layouts += [array.astype(array.dtype.newbyteorder()), misaligned(array)]
    for x in layouts:
        with pytest.raises(ValueError, match=f"{name} must be contiguous, aligned and in native byte order") as error:
            call(x)
        cure = str(error.value).partition("; use ")[2]
        np.testing.assert_array_equal(call(eval(cure, {"numpy": np, "x": x})), call(array))


@every_operator
def test_unsupported_outputs(call, array, name, shape, dtype):
    with pytest.raises(ValueError, match="must have the shape"):
        call(array, np.empty((shape[0] + 1, *shape[1:]), dtype))
    with pytest.raises(TypeError, match="not int16"):
        call(array, np.empty(shape, np.int16))
    frozen = np.empty(shape, dtype)
    frozen.setflags(write=False)
    with pytest.raises(ValueError, match="must be writeable"):
        call(array, frozen)
    with pytest.raises(ValueError, match="must be contiguous"):
        call(array, np.empty((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2])
    if array.shape == shape and array.dtype == dtype:
        with pytest.raises(ValueError, match="must not share memory"):
            call(array, array)


@pytest.mark.parametrize("size", [(0, 8), (8, -1), (8, 2**20 + 1)])
def test_sizes_out_of_range(size):
    with pytest.raises(ValueError, match="must be between 1 and 1048576"):
        ops.fill_polygons(POINTS, size)


@pytest.mark.parametrize("size", [8, (8,), (8, 8, 8), (8.0, 8), ("8", 8), (True, 8)])
def test_sizes_of_wrong_types(size):
    with pytest.raises(TypeError):
        ops.fill_polygons(POINTS, size)


def test_sizes_whose_product_overflows():
    landmarks = np.zeros((2**20 + 1, 1, 2), np.float32)
    with pytest.raises(ValueError, match=r"out of shape .* would be too large to address"):
        ops.render_heatmaps(landmarks, (2**20, 2**20))
    many = np.broadcast_to(landmarks[:1], (2**24, 1, 2))
    with pytest.raises(ValueError, match="contiguous"):
        ops.render_heatmaps(many, (2**20, 2**20))


def test_sizes_of_numpy_integers():
    assert ops.fill_polygons(POINTS, (np.int64(16), np.int32(24))).shape == (3, 16, 24)
