"""Finds what all contours of a data set share: they lie turned, mirrored, or not at all on the edges in their images.

A fault of all files is invisible where contours are compared with each other. It is visible in the images: around true
contours the grey level changes to the same side nearly everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from echoseg.datasets.store import Store
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.quality.contours import MIN_COUNT, border_sign
from echoseg.quality.suspect import Suspect

MIN_GAIN, MIN_STRENGTH = 0.3, 0.6
"""How much stronger the borders of turned or mirrored contours must be, and how strong. Those of true contours are at
least 0.27 weaker in phantoms and MRI slices."""

MIN_EDGES = 0.15
"""The minimum strength of borders, if it differs from 0. That of true contours is 0.65 or more in phantoms and MRI."""

_MAX_IMAGES = 200
_TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored left to right": lambda frame: frame[:, ::-1],
    "mirrored top to bottom": lambda frame: frame[::-1],
    "turned by 180°": lambda frame: frame[::-1, ::-1],
    "with x and y swapped": np.transpose,
}


def find_misplaced(store: Store) -> list[Suspect]:
    """Find whether all contours are turned or mirrored, or follow no edges; at most one suspect.

    The strength of borders is the absolute mean of `contours.border_sign`. At most 200 images are examined.
    """
    traced = np.flatnonzero(~store.blank)
    if len(traced) < MIN_COUNT:
        return []
    chosen = traced[np.unique(np.linspace(0, len(traced) - 1, _MAX_IMAGES).astype(int))]
    contours = [store.points[store.offsets[i] : store.offsets[i + 1]] for i in chosen]
    offsets = np.cumsum([0, *map(len, contours)])
    landmarks = choose_landmarks(np.concatenate(contours), 64, offsets=offsets).astype(np.float64)

    def signs(turn: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        frames = (np.ascontiguousarray(turn(store.frames[i])) for i in chosen)
        return np.array([border_sign(frame, contour) for frame, contour in zip(frames, landmarks, strict=True)])

    stored = signs(lambda frame: frame)
    actual = abs(float(stored.mean()))
    height, width = store.size
    turns = {
        name: abs(float(signs(turn).mean()))
        for name, turn in _TURNS.items()
        if height == width or turn is not np.transpose
    }
    best = max(turns, key=lambda name: turns[name])
    video, images = str(store.samples["video"][chosen[0]]), tuple(map(int, chosen[:6]))
    count = f"in all {len(traced)} images"
    if turns[best] > max(actual + MIN_GAIN, MIN_STRENGTH):
        note = f"{count}, borders are stronger if the contours are {best} ({turns[best]:.2f}, now {actual:.2f})"
        return [Suspect("turned or mirrored", video, turns[best] - actual, note, images)]
    if actual < min(MIN_EDGES, 2 * float(stored.std()) / np.sqrt(len(stored))):
        note = f"{count}, the grey level does not change at the contours ({actual:.2f} of at most 1)"
        return [Suspect("no edges", video, 1 - actual, note, images)]
    return []
