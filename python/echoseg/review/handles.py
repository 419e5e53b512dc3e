"""The points that a person drags, and the outline, area and volume that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.geometry.chords import cut_chords
from echoseg.geometry.contour import contour_area
from echoseg.geometry.discs import long_axis
from echoseg.geometry.landmarks import SCHEMES
from echoseg.geometry.spline import join_points
from echoseg.models.codec import Codec

ADDED = -1  # in place of a landmark's number


@dataclass(frozen=True, eq=False)
class Handles:
    """The points of one frame, in the order in which they are joined.

    Attributes:
        points: (K, 2) float32, pixels.
        landmarks: (K,) int64, which of the run's landmarks each is; `ADDED` for a point that a person added.
        pinned: (K,) bool, whether a person put it where it is.
    """

    points: np.ndarray
    landmarks: np.ndarray
    pinned: np.ndarray


@dataclass(frozen=True)
class Drawing:
    """How handles are joined; as the run's codec does it, so far as it has landmarks.

    Attributes:
        scheme: of the landmarks.
        outline: a name in ``geometry.spline.OUTLINES``.
        count: landmarks of the scheme.
    """

    scheme: str
    outline: str
    count: int

    @property
    def straight(self) -> int | None:
        """The landmark from which the outline runs straight to the next one."""
        return SCHEMES[self.scheme].straight(self.count)

    @property
    def kept(self) -> list[int]:
        """Landmarks that cannot be deleted: apex and annulus, where the scheme has them."""
        return [] if self.straight is None else [0, self.straight, self.straight + 1]

    def fits(self, handles: Handles) -> bool:
        """Whether handles are of this scheme (landmarks in their order, with apex and annulus where it has them), and
        make an outline with an area and a long axis."""
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
        """(P, 2) float32, the closed outline, pixels."""
        straight = None if self.straight is None else self._base(handles)
        return join_points(handles.points, straight=straight, outline=self.outline)

    def axis(self, handles: Handles) -> np.ndarray:
        """(2, 2) float64, apex and middle of the base, pixels."""
        if self.straight is None:
            return long_axis(self.join(handles)[None])[0]
        base = self._base(handles)
        points = handles.points.astype(np.float64)
        return np.stack([points[handles.landmarks == 0][0], points[base : base + 2].mean(axis=0)])

    def chords(self, handles: Handles) -> np.ndarray:
        """(21, 4) float32, pixels: the outline as a tracing of chords."""
        return cut_chords(self.join(handles), self.axis(handles))


def drawing_of(codec: Codec) -> Drawing:
    """How the handles of a run are joined."""
    return Drawing(codec.scheme, codec.outline, codec.handles)
