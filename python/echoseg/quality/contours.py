"""Outlines that look wrong by themselves, on their picture, or among the others.

"Far" is meant robustly: so many times the median absolute deviation, scaled to that of a normal distribution, from the
median; a few wild outlines do not widen the measure that they are held against. Where fewer than `FEWEST` outlines are
there, nothing is far.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.geometry.contour import contour_area
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.geometry.spline import crosses_itself
from echoseg.ops import dilate, fill_polygons
from echoseg.quality.suspect import Suspect

FEWEST = 8
FAR_SIZE, FAR_PLACE, FAR_IN_ALL, OTHER_SIZE, OTHER_PLACE = 6.0, 5.0, 6.5, 8.0, 5.0
"""Limits of `deviations`. Of 560 phantoms and 74 real MRI slices the largest are 4.6, 3.4, 5.7, 7.1 and 2.5."""

LEAST_BORDER = 0.2
"""What the median outline's `border` must be, so that others are held against it."""

LEAST_RANGE = 12
"""Grey levels between the darkest and the brightest of a picture worth tracing on, about the outline."""

DARK, MAX_OUTSIDE = 12, 0.5
"""Grey level up to which nothing is shown, and the share of an outline that may lie there (phantoms: up to 0.31)."""

_CHUNK = 512
_STEPS = 64
_STEP = 2  # grey levels that count as a change


def deviations(values: np.ndarray, least: float = 0.0) -> np.ndarray:
    """How far each value is from the median.

    Args:
        values: (N,) float.
        least: the smallest spread that is believed.

    Returns:
        (N,) float64, robust standard deviations, signed; 0 where fewer than `FEWEST` values are there.
    """
    if len(values) < FEWEST:
        return np.zeros(len(values))
    away = values - np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(away))), least, 1e-12)
    return np.asarray(away / spread, dtype=np.float64)


def find_odd_outlines(store: Store) -> list[Suspect]:
    """Look at each outline; one that is wrong in several ways is named once, for the first of them in `REASONS`."""
    table = measure_outlines(store)
    found = []
    for row in table.itertuples():
        reason, value, note = _why_odd(row)
        if reason:
            where = f"frame {store.samples['frame'][row.Index]} of {row.video}"
            found.append(Suspect(reason, row.video, value, f"{where}: {note}", (row.Index,)))
    return found


def measure_outlines(store: Store) -> pd.DataFrame:
    """What the outlines are judged by.

    Returns:
        A row an image: video; size (the square root of the area, pixels), x and y (of the outline's middle, pixels);
        border (share of its points where the picture is brighter outside, less the share where it is darker);
        far_size, far_place, far_border (deviations over the data set; of the border no more than the video's mean);
        far (the three in one); other_size and other_place (deviations, over all videos, of the distance to the video's
        own median; 0 for the less odd of two outlines, and no size of more than two, which may be slices); crosses
        (bool); lost (share of the area that cancels out, if it crosses); range (grey
        levels about the outline) and outside (share of the outline where nothing is shown).
    """
    starts = tqdm(range(0, len(store), _CHUNK), desc="outlines", disable=None)
    chunks = [_measure(store, slice(start, start + _CHUNK)) for start in starts]
    table = pd.concat(chunks, ignore_index=True)
    table["video"] = store.samples["video"]
    size = table["size"].to_numpy()
    least = 0.03 * float(np.median(size))
    table["far_size"] = deviations(size, least)
    table["far_place"] = np.hypot(*(deviations(table[axis].to_numpy(), least) for axis in "xy"))
    lack = pd.Series(_lack_of_border(table["border"].to_numpy()))
    table["far_border"] = np.minimum(lack, lack.groupby(table["video"]).transform("mean"))
    table["far"] = np.sqrt((table[["far_size", "far_place", "far_border"]] ** 2).sum(axis=1))

    videos = table.groupby("video")
    count = videos["size"].transform("size")
    middle = videos[["size", "x", "y"]].transform("median")
    # Of two outlines, either is as far from the other: the one that is odder among all is meant.
    meant = (count > 2) | (videos["far"].transform("max") == table["far"])
    distance = np.abs(np.log(table["size"] / middle["size"]))
    table["other_size"] = _deviations_where(distance, count == 2) * meant
    distance = np.hypot(table["x"] - middle["x"], table["y"] - middle["y"]) / middle["size"]
    table["other_place"] = _deviations_where(distance, count > 1) * meant
    return table


def _deviations_where(values: pd.Series, where: pd.Series) -> np.ndarray:
    found = np.zeros(len(values))
    found[where] = deviations(values[where].to_numpy(), least=0.03)
    return found


def _lack_of_border(border: np.ndarray) -> np.ndarray:
    """(N,) deviations, of those only that have less of a border than the median; whether walls are bright, it tells."""
    middle = float(np.median(border))
    if abs(middle) < LEAST_BORDER:
        return np.zeros(len(border))
    return np.maximum(-deviations(border * np.sign(middle), least=0.1), 0)


def _measure(store: Store, part: slice) -> pd.DataFrame:
    frames = np.asarray(store.frames[part])
    offsets = store.offsets[part.start : part.start + len(frames) + 1]
    points, offsets = store.points[offsets[0] : offsets[-1]], offsets - offsets[0]
    contours = pad_contours(points, offsets)
    masks = fill_polygons(contours, store.size)
    near = dilate(masks, kernel_size=2 * (min(store.size) // 20) + 1)
    inside = masks.sum(axis=(1, 2))
    area = np.maximum(contour_area(contours), inside)
    shown = np.stack([_shown(frame) for frame in frames])
    steps = choose_landmarks(points, _STEPS, offsets=offsets).astype(np.float64)
    middle = steps.mean(axis=1)
    return pd.DataFrame(
        {
            "size": np.sqrt(area),
            "x": middle[:, 0],
            "y": middle[:, 1],
            "border": [_border(frame, outline) for frame, outline in zip(frames, steps, strict=True)],
            "crosses": crosses_itself(contours),
            "lost": 1 - contour_area(contours) / area,
            "range": [_range(frame[mask > 0]) for frame, mask in zip(frames, near, strict=True)],
            "outside": np.where(shown.any(axis=(1, 2)), 1 - (masks & shown).sum(axis=(1, 2)) / area, 0),
        }
    )


def _shown(frame: np.ndarray) -> np.ndarray:
    """(H, W) 0 or 1: the smallest convex region that holds all that is not dark, such as the sector of an echo."""
    shown = np.zeros_like(frame)
    bright = cv2.findNonZero(np.asarray(cv2.medianBlur(frame, 5) > DARK, dtype=np.uint8))
    if bright is not None:
        cv2.fillConvexPoly(shown, cv2.convexHull(bright), 1)
    return shown


def _border(frame: np.ndarray, outline: np.ndarray) -> float:
    """Share of an outline's (P, 2) points where the frame is brighter outside than inside, less the share darker."""
    along = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)  # outwards, for `choose_landmarks` runs clockwise
    across *= min(frame.shape) / 28 / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    smooth = cv2.GaussianBlur(frame, (0, 0), min(frame.shape) / 75).astype(np.float32)
    x, y = np.moveaxis(np.stack([outline + across, outline - across]).astype(np.float32), -1, 0)
    outer, inner = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return float((outer > inner + _STEP).mean() - (outer < inner - _STEP).mean())


def _range(pixels: np.ndarray) -> float:
    """Grey levels from the 1st to the 99th percentile; 0 of no pixels."""
    return float(np.subtract(*np.percentile(pixels, (99, 1)))) if pixels.size else 0.0


def _why_odd(row) -> tuple[str, float, str]:
    """Reason, value and note of one row of `measure_outlines`; reason "" if there is nothing to say."""
    if row.outside > MAX_OUTSIDE:
        return "outside the picture", row.outside, f"{row.outside:.0%} of the outline lies where nothing is shown"
    if row.range < LEAST_RANGE:
        return "blank frame", 1 - row.range / LEAST_RANGE, f"only {row.range:.0f} grey levels about the outline"
    if far := _farthest((abs(row.far_size), FAR_SIZE), (row.other_size, OTHER_SIZE)):
        return "odd size", far[0], f"its size of {row.size:.0f} px is {far[0]:.0f} deviations {far[1]}"
    if far := _farthest((row.far_place, FAR_PLACE), (row.other_place, OTHER_PLACE)):
        return "odd place", far[0], f"its middle at ({row.x:.0f}, {row.y:.0f}) is {far[0]:.0f} deviations {far[1]}"
    if row.far > FAR_IN_ALL:
        parts = f"size {row.far_size:.1f}, place {row.far_place:.1f}, border {row.far_border:.1f}"
        return "odd altogether", row.far, f"{row.far:.0f} deviations from the data set's median ({parts})"
    if row.crosses:
        return "crosses itself", row.lost, f"the outline crosses itself, {row.lost:.0%} of its area cancel out"
    return "", 0.0, ""


def _farthest(in_set: tuple[float, float], in_video: tuple[float, float]) -> tuple[float, str] | None:
    """The greater of two deviations that exceed their limits, in words."""
    told = ((*in_set, "from the data set's median"), (*in_video, "from the video's median"))
    return max(((far, words) for far, limit, words in told if far > limit), default=None)
