"""Finds contours that are unusual in shape, on their image, or compared with the data set.

Deviations are robust: the distance from the median, divided by the median absolute deviation scaled to the standard
deviation of a normal distribution. A few outliers therefore do not increase the spread. With fewer than `MIN_COUNT`
contours, no contour is unusual.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.store import Store
from echoseg.geometry.contour import contour_area
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.ragged import pad_contours
from echoseg.geometry.spline import intersects_itself
from echoseg.ops import dilate, fill_polygons
from echoseg.quality.suspect import Suspect

MIN_COUNT = 8
MAX_SIZE, MAX_POSITION, MAX_OVERALL, MAX_VIDEO_SIZE, MAX_VIDEO_POSITION = 6.0, 5.0, 6.5, 8.0, 5.0
"""Limits of the deviations. The maxima over 2,396 phantoms and 74 real MRI slices are 4.0, 4.5, 5.2, 6.3 and 4.1."""

MIN_BORDER = 0.2
"""Minimum of the median `border`, absolute; below it, borders are not compared."""

MIN_CONTRAST = 12
"""Minimum grey level range around a contour."""

BLACK, MAX_OUTSIDE = 12, 0.5
"""Grey level up to which a pixel counts as black, and the maximum share of a contour there (phantoms: at most 0.41)."""

MAX_COVERED, MAX_TOUCHING, MIN_SOLIDITY = 0.5, 0.15, 0.7
"""Maximum shares of the image in a contour and of a contour on the image's border; minimum of area to convex hull's."""

_CHUNK = 512
_POINTS = 64
_MIN_STEP = 2  # grey levels that count as a difference


def deviations(values: np.ndarray, min_spread: float = 0.0) -> np.ndarray:
    """Robust z-scores: deviations from the median.

    Args:
        values: (N,) float.
        min_spread: Lower limit of the spread by which the deviations are divided.

    Returns:
        (N,) float64, signed robust standard deviations; 0 if there are fewer than `MIN_COUNT` values.
    """
    if len(values) < MIN_COUNT:
        return np.zeros(len(values))
    differences = values - np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(differences))), min_spread, 1e-12)
    return np.asarray(differences / spread, dtype=np.float64)


def find_unusual_contours(store: Store) -> list[Suspect]:
    """Find unusual contours. Each one is reported once, for the first reason in `REASONS` that applies."""
    table = measure_contours(store)
    found = []
    for row in table.itertuples():
        reason, value, note = _find_reason(row)
        if reason:
            frame = f"frame {store.samples['frame'][row.Index]} of {row.video}"
            found.append(Suspect(reason, row.video, value, f"{frame}: {note}", (row.Index,)))
    return found


def measure_contours(store: Store) -> pd.DataFrame:
    """Measure the contours of a store, and compare them with the data set.

    Returns:
        One row per image that is not blank, by its index in the store, with the columns
        - video: the recording's name.
        - size: the square root of the area, pixels.
        - x, y: the centroid, pixels.
        - border: the share of points where the image is brighter outside, minus the share where it is darker.
        - deviation_size, deviation_position, deviation_border: deviations from the data set. That of the border is at
          most the mean of its video.
        - deviation: the Euclidean norm of these three.
        - video_size, video_position: deviations, among all videos, of the distance to the median of the own video. Of
          two contours only the more unusual one has them. With more than two frames, which may be slices, video_size
          is 0.
        - intersects: whether the contour intersects itself.
        - lost: the share of the area that cancels out in a self-intersection.
        - contrast: the grey level range around the contour.
        - outside: the share of the enclosed area where the image is black.
        - covered: the share of the image that is enclosed.
        - touching: the share of points on the border of the image.
        - solidity: the area divided by that of the convex hull.
    """
    traced = np.flatnonzero(~store.blank)
    starts = tqdm(range(0, len(traced), _CHUNK), desc="contours", disable=None)
    table = pd.concat([_measure(store, traced[start : start + _CHUNK]) for start in starts])
    table["video"] = store.samples["video"]
    size = table["size"].to_numpy()
    min_spread = 0.03 * float(np.median(size))
    table["deviation_size"] = deviations(size, min_spread)
    table["deviation_position"] = np.hypot(*(deviations(table[axis].to_numpy(), min_spread) for axis in "xy"))
    weakness = pd.Series(_border_weakness(table["border"].to_numpy()), index=table.index)
    table["deviation_border"] = np.minimum(weakness, weakness.groupby(table["video"]).transform("mean"))
    parts = table[["deviation_size", "deviation_position", "deviation_border"]]
    table["deviation"] = np.sqrt((parts**2).sum(axis=1))

    videos = table.groupby("video")
    count = videos["size"].transform("size")
    median = videos[["size", "x", "y"]].transform("median")
    # two contours have the same distance to their median, so only the one with the larger deviation is compared
    compared = (count > 2) | (videos["deviation"].transform("max") == table["deviation"])
    distance = np.abs(np.log(table["size"] / median["size"]))
    table["video_size"] = _deviations_where(distance, count == 2) * compared
    distance = np.hypot(table["x"] - median["x"], table["y"] - median["y"]) / median["size"]
    table["video_position"] = _deviations_where(distance, count > 1) * compared
    return table


def _deviations_where(values: pd.Series, where: pd.Series) -> np.ndarray:
    found = np.zeros(len(values))
    found[where] = deviations(values[where].to_numpy(), min_spread=0.03)
    return found


def _border_weakness(border: np.ndarray) -> np.ndarray:
    """(N,) deviations of borders weaker than the median, else 0; the median's sign says whether walls are bright."""
    median = float(np.median(border))
    if abs(median) < MIN_BORDER:
        return np.zeros(len(border))
    return np.maximum(-deviations(border * np.sign(median), min_spread=0.1), 0)


def _measure(store: Store, indices: np.ndarray) -> pd.DataFrame:
    frames = store.frames[indices]
    offsets = np.append(store.offsets[indices], store.offsets[indices[-1] + 1])  # blank slices between have no points
    points, offsets = store.points[offsets[0] : offsets[-1]], offsets - offsets[0]
    contours = pad_contours(points, offsets)
    masks = fill_polygons(contours, store.size)
    surroundings = dilate(masks, kernel_size=2 * (min(store.size) // 20) + 1)
    inside = masks.sum(axis=(1, 2))
    area = np.maximum(contour_area(contours), inside)
    visible = np.stack([_visible_region(frame) for frame in frames])
    resampled = choose_landmarks(points, _POINTS, offsets=offsets).astype(np.float64)
    centroid = resampled.mean(axis=1)
    return pd.DataFrame(
        {
            "size": np.sqrt(area),
            "x": centroid[:, 0],
            "y": centroid[:, 1],
            "covered": inside / masks[0].size,
            "touching": _touching(resampled, store.size),
            "solidity": [_solidity(points[start:end]) for start, end in itertools.pairwise(offsets)],
            "border": [border_sign(frame, contour) for frame, contour in zip(frames, resampled, strict=True)],
            "intersects": intersects_itself(contours),
            "lost": 1 - contour_area(contours) / area,
            "contrast": [_contrast(frame[mask > 0]) for frame, mask in zip(frames, surroundings, strict=True)],
            "outside": np.where(visible.any(axis=(1, 2)), 1 - (masks & visible).sum(axis=(1, 2)) / area, 0),
        },
        index=indices,
    )


def _visible_region(frame: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of 0 and 1: the convex hull of all pixels that are not black, for example an ultrasound sector."""
    region = np.zeros_like(frame)
    bright = cv2.findNonZero(np.asarray(cv2.medianBlur(frame, 5) > BLACK, dtype=np.uint8))
    if bright is not None:
        cv2.fillConvexPoly(region, cv2.convexHull(bright), 1)
    return region


def border_sign(frame: np.ndarray, contour: np.ndarray) -> float:
    """Share of the (P, 2) points where the frame is brighter outside than inside, minus where it is darker.

    Points whose outside is the black around an ultrasound sector count as neither: there is no wall to see.
    """
    tangent = np.roll(contour, -1, axis=0) - np.roll(contour, 1, axis=0)
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1)  # outward, since `choose_landmarks` runs clockwise
    normal *= min(frame.shape) / 28 / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    smooth = cv2.GaussianBlur(frame, (0, 0), min(frame.shape) / 75).astype(np.float32)
    x, y = np.moveaxis(np.stack([contour + normal, contour - normal]).astype(np.float32), -1, 0)
    outer, inner = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    visible = cv2.remap(_visible_region(frame), x[0], y[0], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    return float((visible * (outer > inner + _MIN_STEP)).mean() - (visible * (outer < inner - _MIN_STEP)).mean())


def _touching(contours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) share of the points of (N, P, 2) contours on the border of an image."""
    last = np.array(size[::-1]) - 1
    return np.asarray(((contours <= 0) | (contours >= last)).any(axis=2).mean(axis=1))


def _solidity(contour: np.ndarray) -> float:
    """Area of a (P, 2) contour divided by that of its convex hull; 1 for a contour without area."""
    points = contour.astype(np.float32)
    hull = cv2.contourArea(cv2.convexHull(points))
    return cv2.contourArea(points) / hull if hull > 0 else 1.0


def _contrast(pixels: np.ndarray) -> float:
    """Grey levels from the 1st to the 99th percentile; 0 without pixels."""
    return float(np.subtract(*np.percentile(pixels, (99, 1)))) if pixels.size else 0.0


def _find_reason(row) -> tuple[str, float, str]:
    """Reason, value and note for one row of `measure_contours`; the reason is "" if the contour is not unusual."""
    if row.outside > MAX_OUTSIDE:
        return "outside the image", row.outside, f"{row.outside:.0%} of the contour is where the image is black"
    if row.contrast < MIN_CONTRAST:
        return "blank frame", 1 - row.contrast / MIN_CONTRAST, f"only {row.contrast:.0f} grey levels around the contour"
    if largest := _largest((abs(row.deviation_size), MAX_SIZE), (row.video_size, MAX_VIDEO_SIZE)):
        value, text = largest
        return "unusual size", value, f"its size of {row.size:.0f} px is {value:.0f} deviations {text}"
    if largest := _largest((row.deviation_position, MAX_POSITION), (row.video_position, MAX_VIDEO_POSITION)):
        value, text = largest
        return "unusual position", value, f"its centroid ({row.x:.0f}, {row.y:.0f}) is {value:.0f} deviations {text}"
    if row.deviation > MAX_OVERALL:
        parts = (
            f"size {row.deviation_size:.1f}, position {row.deviation_position:.1f}, border {row.deviation_border:.1f}"
        )
        return "unusual overall", row.deviation, f"{row.deviation:.0f} deviations from the data set's median ({parts})"
    if row.covered > MAX_COVERED:
        return "covers the image", row.covered, f"the contour encloses {row.covered:.0%} of the image"
    if row.touching > MAX_TOUCHING:
        return "on the border", row.touching, f"{row.touching:.0%} of the contour is on the border of the image"
    if row.solidity < MIN_SOLIDITY and not row.intersects:
        return "hollow", 1 - row.solidity, f"the contour fills only {row.solidity:.0%} of its convex hull"
    if row.intersects:
        return "self-intersection", row.lost, f"the contour intersects itself, {row.lost:.0%} of its area cancels out"
    return "", 0.0, ""


def _largest(in_set: tuple[float, float], in_video: tuple[float, float]) -> tuple[float, str] | None:
    """The larger of two deviations that exceed their limits, with a description; None if neither does."""
    candidates = ((*in_set, "from the data set's median"), (*in_video, "from the video's median"))
    return max(((value, text) for value, limit, text in candidates if value > limit), default=None)
