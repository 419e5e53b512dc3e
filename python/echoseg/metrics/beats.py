"""Finds heartbeats in the curve of the ventricle's size: end-diastole (largest) and end-systole (smallest).

A median filter removes single outliers, and a Gaussian filter much shorter than a beat removes noise. A beat is a
sufficiently deep minimum and the maximum between it and the previous minimum. Beats cut off by the start or the end of
the clip are left out. If a clip contains less than one complete beat, its largest and its smallest frame are used.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import find_peaks

_SIGMA = 0.025  # s; the shortest beats take 0.25 s, and systole a third of it
_SIGMA_FRAMES = 1.0  # frames, used if the frame rate is unknown
_MIN_INTERVAL = 0.24  # s between two end-systoles
_MIN_DEPTH = 0.3  # of a minimum, relative to the range of the curve
_END_TOLERANCE = 0.1  # an end of the clip that is this close to an extreme is that extreme; relative to the range
_MIN_RANGE = 0.03  # of a curve with beats, relative to the mean size
_MIN_RANGE_TO_NOISE = 9.0  # range to median residual of the filters: at most 8 for white noise, at least 30 for beats


def find_beats(sizes: np.ndarray, fps: float = float("nan")) -> np.ndarray:
    """Find end-diastole and end-systole of each beat.

    Args:
        sizes: (T,) float, areas or volumes. Values that are not finite or not positive are missing and interpolated.
        fps: Frames per second; nan if unknown.

    Returns:
        (B, 2) int64: the frame numbers of ED and ES of each beat, whose sizes are known. A clip with less than one beat
        has one row with its extremes. A curve without beats, or with fewer than two sizes, has no rows.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    valid = np.flatnonzero(np.isfinite(sizes) & (sizes > 0))
    if len(valid) < 2:
        return np.empty((0, 2), dtype=np.int64)
    interpolated = np.interp(np.arange(len(sizes)), valid, sizes[valid])
    sigma = min(_SIGMA * fps if np.isfinite(fps) else _SIGMA_FRAMES, len(interpolated) / 20)
    curve = gaussian_filter1d(median_filter(interpolated, 3, mode="nearest"), sigma, mode="nearest")
    extent = np.ptp(curve)
    if extent <= max(_MIN_RANGE * curve.mean(), _MIN_RANGE_TO_NOISE * np.median(np.abs(interpolated - curve))):
        return np.empty((0, 2), dtype=np.int64)
    beats = [beat for beat in _find_contractions(curve, extent, fps) if _is_complete(curve, extent, *beat)]
    found = np.array(beats, dtype=np.int64).reshape(-1, 2)
    found = valid[np.abs(valid - found[..., None]).argmin(axis=2)]  # the nearest frames whose sizes are known
    found = found[(np.diff(found.ravel(), append=len(sizes)) > 0).reshape(-1, 2).all(axis=1)]
    if not len(found):
        found = valid[[[curve[valid].argmax(), curve[valid].argmin()]]]
    return found.astype(np.int64)


def _find_contractions(curve: np.ndarray, extent: float, fps: float) -> list[tuple[int, int]]:
    """Each minimum, preceded by the maximum since the previous minimum."""
    distance = max(1.0, _MIN_INTERVAL * fps) if np.isfinite(fps) else 1
    padded = np.pad(-curve, 1, constant_values=-curve.max() - extent)  # so that a minimum may be at an end
    minima = find_peaks(padded, prominence=_MIN_DEPTH * extent, distance=distance)[0] - 1
    contractions, start = [], 0
    for minimum in minima:
        maximum = start + int(curve[start : minimum + 1].argmax())
        contractions.append((maximum, int(minimum)))
        start = minimum
    return contractions


def _is_complete(curve: np.ndarray, extent: float, maximum: int, minimum: int) -> bool:
    """Whether a contraction is deep enough and not cut off by the start or the end of the clip."""
    starts = maximum > 0 or curve[0] >= curve.max() - _END_TOLERANCE * extent
    ends = minimum < len(curve) - 1 or curve[-1] <= curve.min() + _END_TOLERANCE * extent
    return starts and ends and curve[maximum] - curve[minimum] >= _MIN_DEPTH * extent
