"""Decides from a volume's header whether its third axis is time or slices.

A header seldom says it: tools write the frame time, in seconds or milliseconds, or the default of 1 as the spacing of a
film's frames, and the units that ITK writes do not depend on the content. A `dataset.json` beside the file, or in one
of the two folders above it, decides by `"axis3": "time"` or `"axis3": "slices"`. Where the header leaves it open, other
files of the data set may decide; see `siblings`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError
from echoseg.io.description import DESCRIPTION, read_description

AXIS3 = ("time", "slices")
"""What the third axis of a volume can be."""

DESCRIBED_FOLDERS = 3
"""How many of the folders above a file may have a `dataset.json` that describes it, the nearest first."""

_MAX_DESCRIPTION_BYTES = 1 << 20
_SEQUENCE = re.compile(r"sequence|cine", re.IGNORECASE)
_VIEW = re.compile(r"(?<![a-z0-9])([24]ch|a[24]c|plax|psax)(?![a-z0-9])", re.IGNORECASE)
_MIN_RATIO, _MAX_RATIO = 0.5, 20.0  # of the distance of slices to the side of a pixel
_MAX_DISTANCE = 20.0  # mm, of slices
_ULTRASOUND = 0.7  # mm; larger pixels are not those of ultrasound
_POSITION_TOLERANCE = 1e-3
OVERRULE = 'to overrule this, use --axis3 {} or "axis3" in dataset.json'
"""How to overrule a guess; gets the other name in `AXIS3`."""


class Axis3(NamedTuple):
    """What the third axis is.

    Attributes:
        is_time: Whether it is time.
        note: What had to be guessed, for the user; "" if nothing.
        is_open: Whether the header has default values only, so that other files may decide.
    """

    is_time: bool
    note: str = ""
    is_open: bool = False


def decide_axis3(
    path: Path, shape: Sequence[int], zooms: Sequence[float], affine: NDArray[np.float64] | None, chosen: str | None
) -> Axis3:
    """Decide whether the third axis of a file is time or slices.

    Args:
        path: The file.
        shape: The sizes of its three axes.
        zooms: The spacing along these axes, mm; not positive or nan if unknown.
        affine: (4, 4) from voxels to RAS+ millimetres; None if the file has none.
        chosen: What the user has chosen, of `AXIS3`; None decides by the header.
    """
    if chosen is not None:
        return Axis3(chosen == "time")
    if shape[2] == 1:
        return Axis3(False)
    if _SEQUENCE.search(path.name):
        return Axis3(True)
    small, large, third = min(zooms[:2]), max(zooms[:2]), zooms[2]
    if affine is not None and not affine[:3, 2].any():
        return taken_for(True, shape, "the affine has no third direction")
    if 0 < third < _MIN_RATIO * small or (small > 0 and third > min(_MAX_RATIO * large, _MAX_DISTANCE)):
        return taken_for(True, shape, f"a third spacing of {third:g} beside pixels of {small:g} mm is a frame time")
    if not third > 0:
        return taken_for(True, shape, "the header has no third spacing", is_open=True)
    if has_position(affine) or third != 1:
        return Axis3(False)
    if 0 < large < _ULTRASOUND:
        reason = f"a third spacing of 1 beside pixels of {small:g} mm is a default"
        return taken_for(True, shape, reason, is_open=True)
    if _VIEW.search(path.name):
        return taken_for(True, shape, "its name is that of a view, and it has no third spacing", is_open=True)
    lacking = "no position" if large != 1 else "neither position nor spacing"
    note = f"the header has {lacking}; slices of 1 mm are assumed, not time points; {OVERRULE.format('time')}"
    return Axis3(False, note, is_open=True)


def taken_for(is_time: bool, shape: Sequence[int], reason: str, *, is_open: bool = False) -> Axis3:
    """A guess, with a note that names its reason and how to overrule it."""
    taken, other = AXIS3 if is_time else AXIS3[::-1]
    return Axis3(is_time, f"axis 3 ({shape[2]}) is taken for {taken}: {reason}; {OVERRULE.format(other)}", is_open)


def check_order(path: Path, size: tuple[int, int], slices: int, time_points: int, *, is_time: bool) -> None:
    """Check that an image has no fewer pixels than there are slices, or time points.

    Args:
        path: The file.
        size: (H, W) of an image.
        slices: The number of slices, or of time points if `is_time`.
        time_points: The number of time points of a stack; 1 for any other volume.
        is_time: Whether the frames are time points.

    Raises:
        DataError: It has fewer, so the axes are in another order.
    """
    number = max(slices, time_points)
    if size[0] * size[1] >= number:
        return
    axis3 = AXIS3[0 if is_time else 1]
    order, overrule = f"x, y, {axis3}", f", or use --axis3 {axis3} if it is right"
    if time_points > 1:
        order, overrule = "x, y, slices, time", ""
    raise DataError(
        f"{path}: read as {order}, it has {number} images of {size[1]}×{size[0]} pixels, so its axes are in another "
        f"order; save it as {order}{overrule}"
    )


def has_position(affine: NDArray[np.float64] | None) -> bool:
    """Whether an affine gives the place of a volume: it is rotated, or its origin is not 0."""
    if affine is None:
        return False
    directions = affine[:3, :3]
    off_diagonal = np.abs(directions - np.diag(np.diag(directions))).max()
    return bool(max(off_diagonal, np.abs(affine[:3, 3]).max()) > _POSITION_TOLERANCE)


def described_axis3(path: Path) -> str | None:
    """Read what the nearest `dataset.json` says, in the folder of a file or one of the two above it; None if nothing.

    Raises:
        DataError: It has another value than those in `AXIS3`, or is no valid JSON.
    """
    for folder in list(path.absolute().parents)[:DESCRIBED_FOLDERS]:
        description = folder / DESCRIPTION
        if not description.is_file() or description.stat().st_size > _MAX_DESCRIPTION_BYTES:
            continue
        axis3 = read_description(description).get("axis3")
        if axis3 not in (None, *AXIS3):
            raise DataError(f'{path}: {description.name} has the "axis3" {axis3!r:.40}; use "time" or "slices"')
        return axis3
    return None
