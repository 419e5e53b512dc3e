"""Handles: the points of a contour that a person can drag, and the contour and axis that are computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echoseg.geometry.contour import contour_area
from echoseg.geometry.discs import long_axis
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks
from echoseg.geometry.spline import join_points
from echoseg.inference.predictor import Prediction
from echoseg.models.codec import Codec

ADDED = -1
"""The number of a point that a person added, in place of the index of a landmark."""


@dataclass(frozen=True, eq=False)
class Handles:
    """The handles of one frame, in their order on the contour.

    Attributes:
        points: (K, 2) float32, pixels.
        landmarks: (K,) int64, the index of the landmark at each point; `ADDED` for a point that a person added.
        pinned: (K,) bool, whether a person has placed the point.
    """

    points: np.ndarray
    landmarks: np.ndarray
    pinned: np.ndarray


@dataclass(frozen=True)
class Drawing:
    """The curve through handles, with the settings of the run's codec.

    Attributes:
        scheme: The landmark scheme; see `echoseg.geometry.landmarks`.
        outline: The kind of curve, a name in `echoseg.geometry.spline.OUTLINES`.
        count: The number of landmarks.
    """

    scheme: str
    outline: str
    count: int

    @property
    def straight(self) -> int | None:
        """The index of the landmark that a straight line connects to the next one; None if there is none."""
        return SCHEMES[self.scheme].straight(self.count)

    @property
    def kept(self) -> list[int]:
        """The indices of landmarks that cannot be deleted: apex and annulus, if the scheme contains them."""
        return [] if self.straight is None else [0, self.straight, self.straight + 1]

    def fits(self, handles: Handles) -> bool:
        """Whether the landmarks are in order and complete, and the contour has an area and an axis."""
        numbers = handles.landmarks[handles.landmarks != ADDED]
        ordered = bool((np.diff(numbers) > 0).all()) and bool(((numbers >= 0) & (numbers < self.count)).all())
        if not ordered or not set(self.kept) <= set(numbers.tolist()):
            return False
        if self.straight is not None and handles.landmarks[self._base(handles) + 1] != self.straight + 1:
            return False
        return bool(contour_area(self.join(handles)) > 0 and np.ptp(self.axis(handles), axis=0).any())

    def _base(self, handles: Handles) -> int:
        return int(np.flatnonzero(handles.landmarks == self.straight)[0])

    def join(self, handles: Handles) -> np.ndarray:
        """(P, 2) float32, pixels: The closed contour through the handles."""
        straight = None if self.straight is None else self._base(handles)
        return join_points(handles.points, straight=straight, outline=self.outline)

    def axis(self, handles: Handles) -> np.ndarray:
        """(2, 2) float64, pixels: The apex and the middle of the base."""
        if self.straight is None:
            return long_axis(self.join(handles)[None])[0]
        base = self._base(handles)
        points = handles.points.astype(np.float64)
        return np.stack([points[handles.landmarks == 0][0], points[base : base + 2].mean(axis=0)])


def drawing_of(codec: Codec) -> Drawing:
    """The curve through the handles of a codec."""
    return Drawing(codec.scheme, codec.outline, codec.handles)


def predicted_handles(prediction: Prediction, drawing: Drawing) -> list[Handles]:
    """The handles of each frame: its landmarks, or points on the contour of a mask.

    Args:
        prediction: A prediction of the run.
        drawing: The curve through the handles.
    """
    points = prediction.landmarks
    if points is None:
        points = _points_on(prediction.contours, prediction.size, drawing)
    numbers, pinned = np.arange(drawing.count), np.zeros(drawing.count, dtype=bool)
    return [Handles(frame_points.astype(np.float32), numbers, pinned) for frame_points in points]


def _points_on(contours: Sequence[np.ndarray], size: tuple[int, int], drawing: Drawing) -> np.ndarray:
    """Choose points on the contours, (T, K, 2) float64, pixels.

    A frame without a contour gets the points of the nearest frame with one. If no frame has a contour, the points lie
    on a circle in the middle.
    """
    angle = 2 * np.pi * np.arange(drawing.count) / drawing.count
    circle = min(size) / 6 * np.stack([np.sin(angle), -np.cos(angle)], axis=1) + (size[1] / 2, size[0] / 2)
    points = np.repeat(circle[None], len(contours), axis=0)
    nonempty = np.array([frame for frame, contour in enumerate(contours) if len(contour)], dtype=np.intp)
    for frame in nonempty:
        points[frame] = choose_landmarks(contours[frame][None], drawing.count, scheme=drawing.scheme)[0]
    if len(nonempty):
        points = points[nonempty[np.abs(np.arange(len(contours))[:, None] - nonempty).argmin(axis=1)]]
    return points
