"""Brings a mask over to the voxels of its image, by the affines of the two files."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.affine import corner_distance, format_sides, same_sides
from echoseg.io.axes import has_position
from echoseg.io.volume import Volume

_MIN_ANGLE = 0.5  # degrees, of directions that differ by more than rounding
_LPS_FOR_RAS = np.diag([-1.0, -1, 1, 1])
_CURE = "resample it to its image's grid, or save it with its image's affine if their voxels correspond"


def align_mask(mask: Volume, image: Volume) -> tuple[Volume, str]:
    """Find how the voxels of a mask become those of its image.

    A mask with reversed or permuted axes is brought over. Where one of the two headers has lost its position, as
    identity affines and missing ones have, the voxels correspond in the order of the files.

    Args:
        mask: The header of the mask.
        image: The header of its image.

    Returns:
        The mask with the axes that `Volume.arrange` needs to give frames in the orientation of the image's; and a note
        for the user, "" if there is none.

    Raises:
        DataError: The sizes differ, or the mask lies elsewhere.
    """
    sizes, expected = mask.file_shape, image.file_shape
    if mask.affine is None or image.affine is None or _is_default(mask) or _is_default(image):
        _compare_sizes(mask, image)
        return _without_position(mask, image)
    if sorted(sizes[:3]) != sorted(expected[:3]) or sizes[3:] != expected[3:]:
        _compare_sizes(mask, image)
    spatial = _spatial_shape(image)
    candidates = [
        (order, flipped, _rearranged(mask.affine, order, flipped, expected))
        for order, flipped in _arrangements(mask, image)
    ]
    if not candidates:  # only an order that would exchange time and space gives the sizes
        _compare_sizes(mask, image)
    distances = [corner_distance(image.affine, moved, spatial) for _, _, moved in candidates]
    axes, flipped, moved = candidates[int(np.argmin(distances))]
    if not min(distances) <= 1:
        _compare_sizes(mask, image)
        differing = ", ".join(_differences(moved, image.affine, spatial))
        if expected == sizes and corner_distance(image.affine, _LPS_FOR_RAS @ mask.affine, spatial) <= 1:
            differing += "; x and y have the opposite sign, as if LPS were taken for RAS"
        raise DataError(f"{mask.path}: does not lie on its image ({differing}); {_CURE}")
    note = "" if sizes == expected and not flipped and axes == (0, 1, 2) else "turned to lie as its image"
    return _as_image(mask, image, axes, flipped), note


def _without_position(mask: Volume, image: Volume) -> tuple[Volume, str]:
    """The correspondence by the order of the files, unless the spacings contradict it."""
    sides, expected = _sides(mask), _sides(image)
    count = min(len(sides), len(expected))  # rows and columns only, if one of the two headers has lost the slices
    has_slices = len(sides) == len(expected)
    sides, expected = sides[-count:], expected[-count:]
    known = [spacing for spacing in (sides, expected) if any(side not in (0, 1) and side > 0 for side in spacing)]
    if len(known) == 2 and not same_sides(*known):
        texts = [format_sides(spacing) for spacing in known]
        raise DataError(f"{mask.path}: has the spacing {texts[0]} mm, its image {texts[1]} mm; {_CURE}")
    same = (mask.affine is None) == (image.affine is None) and has_slices and same_sides(sides, expected)
    lost = "it" if mask.affine is None or _is_default(mask) else "its image"
    note = "" if same else f"{lost} has no position in its header; its voxels are taken for those of its image"
    return _as_image(mask, image, (0, 1, 2), ()), note


def _is_default(volume: Volume) -> bool:
    """Whether an affine is what tools write that have lost the header: no position, and a spacing of 1."""
    sides = _sides(volume)
    return not has_position(volume.affine) and all(side == 1 for side in sides)


def _sides(volume: Volume) -> tuple[float, ...]:
    """The spacings of a volume along frames, rows and columns, in mm; without the frames, if they are no slices."""
    return (*(() if math.isnan(volume.thickness) else (volume.thickness,)), *volume.spacing)


def _spatial_shape(volume: Volume) -> tuple[int, ...]:
    """The sizes of the axes in the order of the file; 1 for time."""
    sizes = list(volume.file_shape[:3])
    if math.isnan(volume.thickness):
        sizes[volume.axes[0]] = 1
    return tuple(sizes)


def _arrangements(mask: Volume, image: Volume) -> Iterator[tuple[tuple[int, int, int], tuple[int, ...]]]:
    """Orders of the mask's axes that give the image's sizes, with the axes of the result to reverse."""
    sizes, expected = mask.file_shape, image.file_shape
    time = image.axes[0] if math.isnan(image.thickness) and image.shape[0] > 1 else None
    for first, second, third in itertools.permutations(range(3)):
        order = (first, second, third)
        if tuple(sizes[axis] for axis in order) != expected[:3] or (time is not None and order[time] != time):
            continue
        reversible = [axis for axis in range(3) if axis != time and expected[axis] > 1]
        for count in range(len(reversible) + 1):
            yield from ((order, axes) for axes in itertools.combinations(reversible, count))


def _rearranged(
    affine: NDArray[np.float64], order: tuple[int, ...], flipped: tuple[int, ...], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """The affine of a volume whose axes are put into an order, which gives a shape, and then partly reversed."""
    result = affine[:, [*order, 3]].copy()
    for axis in flipped:
        result[:3, 3] += result[:3, axis] * (shape[axis] - 1)
        result[:3, axis] *= -1
    return result


def _as_image(mask: Volume, image: Volume, order: tuple[int, ...], flipped: tuple[int, ...]) -> Volume:
    """The image's header for the file of the mask, whose axes are put into an order and then partly reversed."""
    axes = tuple(order[axis] for axis in image.axes)
    reversed_axes = tuple(sorted(order[axis] for axis in {*image.flipped} ^ {*flipped}))
    return replace(image, path=mask.path, axes=(axes[0], axes[1], axes[2]), flipped=reversed_axes)


def _differences(moved: NDArray[np.float64], affine: NDArray[np.float64], shape: tuple[int, ...]) -> Iterator[str]:
    """What differs between the affine of a mask, arranged as its image, and that of the image."""
    used = [axis for axis in range(3) if shape[axis] > 1]
    if (distance := float(np.linalg.norm(moved[:3, 3] - affine[:3, 3]))) > 1e-3:
        yield f"origin by {distance:.4g} mm"
    sides, expected = (np.linalg.norm(item[:3, used], axis=0) for item in (moved, affine))
    if not same_sides(sides, expected):
        yield f"spacing {format_sides(sides)} instead of {format_sides(expected)} mm"
    cosines = (moved[:3, used] * affine[:3, used]).sum(axis=0) / np.maximum(sides * expected, 1e-30)
    if (angle := math.degrees(math.acos(float(np.clip(cosines.min(initial=1.0), -1, 1))))) > _MIN_ANGLE:
        yield f"directions by {angle:.0f} degrees"


def _compare_sizes(mask: Volume, image: Volume) -> None:
    if mask.file_shape != image.file_shape:
        text, expected = ("×".join(map(str, volume.file_shape)) for volume in (mask, image))
        raise DataError(f"{mask.path}: is {text}, its image {expected}; give both the same size")
