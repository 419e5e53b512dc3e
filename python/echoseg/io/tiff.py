"""What a TIFF says about its pages: slices, time points or channels, and their spacing.

ImageJ, OME and tifffile write it into the description of the first page. ImageJ calls the images of every stack slices,
films that it has imported included, unless the description has a spacing or says that the stack is a hyperstack.

Sources: https://imagej.net/ij/source/ij/io/TiffEncoder.java,
https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
from typing import Any, NamedTuple

from PIL import Image

from echoseg.io.clip import plausible_rate

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION = 270, 282, 283  # tags
_MAX_DESCRIPTION = 1 << 20
_MILLIMETRES = {"nm": 1e-6, "um": 1e-3, "micron": 1e-3, "microns": 1e-3, "µm": 1e-3, "μm": 1e-3, "mm": 1.0}
_SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "min": 60.0}
_MILLIMETRES |= {"cm": 10.0, "m": 1000.0, "\\u00b5m": 1e-3}


class PageAxes(NamedTuple):
    """The order of the pages is: channels, slices, time points; the first changes fastest.

    Attributes:
        channels: The number of channels.
        slices: The number of slices.
        time_points: The number of time points.
        spacing: (row, column) mm per pixel; nan if unknown.
        thickness: Distance between slices in mm; nan if unknown.
        fps: Time points per second; nan if unknown.
        is_time_first: Whether the time points change faster than the slices.
        images: The number of images that the description declares; 0 if it declares none.
    """

    channels: int = 1
    slices: int = 1
    time_points: int = 1
    spacing: tuple[float, float] = (math.nan, math.nan)
    thickness: float = math.nan
    fps: float = math.nan
    is_time_first: bool = False
    images: int = 0


def read_page_axes(content: bytes) -> PageAxes:
    """Read the description of a TIFF; all numbers are 1 and all lengths unknown if it says nothing."""
    try:
        with Image.open(io.BytesIO(content), formats=("TIFF",)) as image:
            tags = image.tag_v2
            description = str(tags.get(_DESCRIPTION, ""))[:_MAX_DESCRIPTION]
            resolution = [float(tags.get(tag, 0)) for tag in (_Y_RESOLUTION, _X_RESOLUTION)]
            if description.startswith("ImageJ="):
                return _imagej(dict(line.partition("=")[::2] for line in description.splitlines()), resolution)
            if "<OME" in description:
                return _ome(dict(re.findall(r'(\w+)="([^"]*)"', _first_pixels(description))))
            return _tifffile(json.loads(description)) if description.startswith("{") else PageAxes()
    except Exception:  # Pillow raises exceptions of many types for damaged files
        return PageAxes()


def count_pages(content: bytes) -> int | None:
    """Count the pages of a TIFF by its directories; None if one of them is beyond the end of the file."""
    order = "<" if content.startswith(b"II") else ">"
    is_big = content[2:4] in (b"+\0", b"\0+")
    start, entries, entry, pointer = (8, "Q", 20, "Q") if is_big else (4, "H", 12, "I")
    found: set[int] = set()
    try:
        (offset,) = struct.unpack_from(order + pointer, content, start)
        while offset and offset not in found:
            found.add(offset)
            (number,) = struct.unpack_from(order + entries, content, offset)
            (offset,) = struct.unpack_from(order + pointer, content, offset + struct.calcsize(entries) + entry * number)
    except (struct.error, OverflowError):
        return None
    return len(found)


def _imagej(fields: dict[str, str], resolution: list[float]) -> PageAxes:
    slices, times, channels = (int(fields.get(name, "1")) for name in ("slices", "frames", "channels"))
    unit = _MILLIMETRES.get(fields.get("unit", "").strip().lower(), math.nan)
    spacing, interval = float(fields.get("spacing", "nan")), float(fields.get("finterval", "0"))
    if interval:
        interval *= _SECONDS.get(fields.get("tunit", "sec").strip().lower(), math.nan)
    if times == 1 and fields.get("hyperstack") != "true" and math.isnan(spacing):
        slices = 1  # the images of any stack
    sides = [unit / per_unit if per_unit > 0 else math.nan for per_unit in resolution]
    fps = plausible_rate(float(fields.get("fps", "nan")) if interval == 0 else 1 / interval)
    images = int(fields.get("images", "0"))
    return PageAxes(channels, slices, times, (sides[0], sides[1]), abs(spacing) * unit, fps, images=images)


def _first_pixels(description: str) -> str:
    found = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
    return found[0] if found else ""


def _ome(fields: dict[str, str]) -> PageAxes:
    channels, slices, times = (int(fields.get(f"Size{axis}", "1")) for axis in "CZT")
    units = {axis: _MILLIMETRES.get(fields.get(f"PhysicalSize{axis}Unit", "µm").lower(), math.nan) for axis in "XYZ"}
    sides = {axis: float(fields.get(f"PhysicalSize{axis}", "nan")) * unit for axis, unit in units.items()}
    interval = float(fields.get("TimeIncrement", "0")) if fields.get("TimeIncrementUnit", "s") == "s" else 0.0
    order = fields.get("DimensionOrder", "XYCZT")
    return PageAxes(
        channels,
        slices,
        times,
        (sides["Y"], sides["X"]),
        sides["Z"],
        plausible_rate(1 / interval) if interval > 0 else math.nan,
        order.find("T") < order.find("Z"),
    )


def _tifffile(fields: dict[str, Any]) -> PageAxes:
    sizes = dict(zip(fields["axes"], fields["shape"], strict=True))
    axes = str(fields["axes"])
    return PageAxes(
        int(sizes.get("C", 1)),
        int(sizes.get("Z", 1)),
        int(sizes.get("T", 1)),
        is_time_first=axes.find("Z") < axes.find("T") and "Z" in axes,
    )
