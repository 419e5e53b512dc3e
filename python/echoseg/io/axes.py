"""Decides from a volume's header whether its third axis is time or slices.

A header seldom says it: tools write the frame time, in seconds or milliseconds, or the default of 1 as the spacing of a
film's frames, and the units that ITK writes do not depend on the content. A `dataset.json` beside the file, or in one
of the two folders above it, decides by `"axis3": "time"` or `"axis3": "slices"`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import DataError

AXIS3 = ("time", "slices")
"""What the third axis of a volume can be."""

_DESCRIPTION, _FOLDERS = "dataset.json", 3
_MAX_DESCRIPTION_BYTES = 1 << 20
_SEQUENCE = re.compile(r"sequence|cine", re.IGNORECASE)
_VIEW = re.compile(r"(?<![a-z0-9])([24]ch|a[24]c|plax|psax)(?![a-z0-9])", re.IGNORECASE)
_MIN_RATIO, _MAX_RATIO = 0.5, 20.0  # of the distance of slices to the side of a pixel
_ULTRASOUND = 0.7  # mm; larger pixels are not those of ultrasound
_POSITION_TOLERANCE = 1e-3
_OVERRULE = 'to overrule this, use --axis3 {} or "axis3" in dataset.json'


class Axis3(NamedTuple):
    """What the third axis is.

    Attributes:
        is_time: Whether it is time.
        note: What had to be guessed, for the user; "" if nothing.
    """

    is_time: bool
    note: str = ""


def decide_axis3(
    path: Path, shape: Sequence[int], zooms: Sequence[float], affine: NDArray[np.float64] | None, chosen: str | None
) -> Axis3:
    """Decide whether the third axis of a file is time or slices.

    Args:
        path: The file.
        shape: The sizes of its three axes.
        zooms: The spacing along these axes, mm; not positive or nan if unknown.
        affine: (4, 4) from voxels to RAS+ millimetres; None if the file has none.
        chosen: What the user has chosen, of `AXIS3`; None decides by `dataset.json` or the header.

    Raises:
        DataError: `dataset.json` has another value.
    """
    chosen = chosen or described_axis3(path)
    if chosen is not None:
        return Axis3(chosen == "time")
    if shape[2] == 1:
        return Axis3(False)
    if _SEQUENCE.search(path.name):
        return Axis3(True)
    small, large, third = min(zooms[:2]), max(zooms[:2]), zooms[2]
    positioned = has_position(affine)
    reason = ""
    if affine is not None and not affine[:3, 2].any():
        reason = "the affine has no third direction"
    elif 0 < third < _MIN_RATIO * small or (small > 0 and third > _MAX_RATIO * large):
        reason = f"a third spacing of {third:g} beside pixels of {small:g} mm is a frame time"
    elif not positioned and third == 1 and 0 < large < _ULTRASOUND:
        reason = f"a third spacing of 1 beside pixels of {small:g} mm is a default"
    elif not positioned and third in (0, 1) and _VIEW.search(path.name):
        reason = "its name is that of a view, and it has no third spacing"
    if reason:
        return Axis3(True, f"axis 3 ({shape[2]}) is taken for time: {reason}; {_OVERRULE.format('slices')}")
    if not positioned and small == large == third == 1:
        note = "the header has neither position nor spacing; slices of 1 mm are assumed, not time points"
        return Axis3(False, f"{note}; {_OVERRULE.format('time')}")
    return Axis3(False)


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
        DataError: It has another value than those in `AXIS3`.
    """
    for folder in list(path.absolute().parents)[:_FOLDERS]:
        description = folder / _DESCRIPTION
        try:
            if not description.is_file() or description.stat().st_size > _MAX_DESCRIPTION_BYTES:
                continue
            axis3 = json.loads(description.read_text(encoding="utf-8")).get("axis3")
        except (OSError, ValueError, AttributeError, RecursionError):  # the reader of the data set refuses it
            return None
        if axis3 not in (None, *AXIS3):
            raise DataError(f'{path}: {description.name} has the "axis3" {axis3!r:.40}; use "time" or "slices"')
        return axis3
    return None
