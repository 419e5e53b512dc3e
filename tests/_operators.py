"""Every operator with valid arguments, for tests of all operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from echoseg import ops

SIZE = (9, 14)
COUNT, PER_IMAGE = 3, 2
Arrays = dict[str, Any]


class Operator(NamedTuple):
    """An operator and its arguments: `arrays` by argument name, `outs` by their names in messages."""

    call: Callable[..., Any]
    arrays: Arrays
    settings: dict[str, Any]
    outs: Arrays

    def run(self, arrays: Arrays | None = None, outs: Arrays | None = None) -> tuple[Any, ...]:
        buffers = tuple((copy_arrays(self.outs) if outs is None else outs).values())
        out = buffers[0] if len(buffers) == 1 else buffers
        result = self.call(**(arrays or self.arrays), **self.settings, out=out)
        return tuple(result) if isinstance(result, tuple) else (result,)


def random_arrays(count: int, size: tuple[int, int], seed: int) -> Arrays:
    random = np.random.default_rng(seed)
    maximum = np.array(size[::-1]) + 6
    arrays = {
        "points": random.uniform(-5, maximum, (count, 7, 2)).astype(np.float32),
        "landmarks": random.uniform(-2, maximum, (count, PER_IMAGE, 2)).astype(np.float32),
        "previous": np.full((count, PER_IMAGE, 2), -1e4, np.float32),
        "masks": np.uint8(random.random((count, *size)) < 0.7),
        "others": np.uint8(random.random((count, *size)) < 0.2),
        "heatmaps": random.random((count, PER_IMAGE, *size), dtype=np.float32),
    }
    cuts = np.sort(random.integers(0, 7 * count + 1, count - 1)) if count else np.zeros(0)
    return arrays | {"offsets": np.array([0, *cuts, 7 * count][: count + 1], np.int64)}


def operators(count: int = COUNT, size: tuple[int, int] = SIZE, seed: int = 0) -> dict[str, Operator]:
    """Return all operators by name, with random arguments from `seed`."""
    arrays = random_arrays(count, size, seed)
    flat, uint8 = arrays["points"].reshape(-1, 2), np.zeros((count, *size), np.uint8)
    planes = np.zeros((count, PER_IMAGE, *size), np.float32)
    masks, numbers = {"masks": arrays["masks"]}, np.zeros(count)
    landmarks = {"landmarks": arrays["landmarks"]}
    ragged, sized = {"points": flat, "offsets": arrays["offsets"]}, {"size": size}
    contours = {"contours": flat, "offsets": arrays["offsets"]}
    points = {"points": arrays["points"]}
    targets = {"out.mask": uint8, "out.band": uint8.copy(), "out.heatmaps": planes}
    return {
        "fill_polygons": Operator(ops.fill_polygons, points, sized, {"out": uint8}),
        "opencv": Operator(ops.fill_polygons, ragged, sized | {"rule": "opencv"}, {"out": uint8}),
        "coverage": Operator(ops.fill_polygons, ragged, sized | {"rule": "coverage"}, {"out": planes[:, 0].copy()}),
        "dilate": Operator(ops.dilate, masks, {"shape": "ellipse", "kernel_size": 5}, {"out": uint8}),
        "erode": Operator(ops.erode, masks, {"shape": "cross"}, {"out": uint8}),
        "border_band": Operator(ops.border_band, masks, {"iterations": 2}, {"out": uint8}),
        "border_band_from_contours": Operator(ops.border_band_from_contours, contours, sized, {"out": uint8}),
        "render_heatmaps": Operator(
            ops.render_heatmaps, landmarks | {"band": arrays["masks"]}, sized | {"sigma": 2.0}, {"out": planes}
        ),
        "previous": Operator(
            ops.render_heatmaps, landmarks | {"previous": arrays["previous"]}, sized | {"radius": 3.0}, {"out": planes}
        ),
        "render_targets": Operator(ops.render_targets, contours | landmarks, sized | {"rule": "opencv"}, targets),
        "decode_heatmaps": Operator(
            ops.decode_heatmaps,
            {"heatmaps": arrays["heatmaps"]},
            {"method": "soft_argmax"},
            {"out points": planes[:, :, 0, :2].copy(), "out confidence": planes[:, :, 0, 0].copy()},
        ),
        "distance_transform": Operator(
            ops.distance_transform, masks, {"spacing": (0.3, 2.0)}, {"out": planes[:, 0].copy()}
        ),
        "surface_distances": Operator(
            ops.surface_distances,
            {"predicted": arrays["masks"], "true": arrays["others"]},
            {},
            {"out hd95": numbers, "out assd": numbers.copy()},
        ),
        "normalized_surface_dice": Operator(
            ops.normalized_surface_dice,
            {"predicted": arrays["masks"], "true": arrays["others"]},
            {"tolerance": 1.2, "spacing": (0.9, 1.0)},
            {"out": numbers.copy()},
        ),
    }


def copy_arrays(arrays: Arrays) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}


def to_torch(arrays: Arrays) -> Arrays:
    import torch

    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
