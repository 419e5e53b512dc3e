"""The heart's beats in the curve of the ventricle's size: where it is largest (ED), and where smallest (ES).

The curve is freed of single odd frames and smoothed over a time in which no heart does anything. A beat is a trough
that is deep enough, with the highest point between it and the trough before. Beats that an end of the clip cuts are
left out, but for a clip that shows less than one whole beat, which has its largest and its smallest frame.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import find_peaks

_SMOOTH = 0.025  # s, σ: the fastest hearts take 0.25 s a beat, and systole is a third of it
_UNKNOWN = 1.0  # frames, σ where the frame rate is not known
_SHORTEST = 0.24  # s from one end-systole to the next
_DEEP = 0.3  # of the curve's swing: a shallower trough is none
_NEAR = 0.1  # of the swing: an end of the clip that is so near to the extremes is one of them
_FLAT = 0.03  # of the mean size: a curve that swings less shows no beat
_NOISE = 9.0  # of the median of what smoothing took away: likewise; white noise reaches 8, heartbeats 30 and more


def find_beats(sizes: np.ndarray, fps: float = float("nan")) -> np.ndarray:
    """Find end-diastole and end-systole of each beat.

    Args:
        sizes: (T,) float, areas or volumes; what is nan or not above 0 was not seen, and is bridged.
        fps: frames a second; nan if unknown.

    Returns:
        (B, 2) int64: frames of ED and ES, by beat; a clip of less than one beat has its extremes, and a curve without
        a beat, or with fewer than two frames seen, has none.
    """
    sizes = np.asarray(sizes, dtype=np.float64)
    seen = np.flatnonzero(np.isfinite(sizes) & (sizes > 0))
    if len(seen) < 2:
        return np.empty((0, 2), dtype=np.int64)
    whole = np.interp(np.arange(len(sizes)), seen, sizes[seen])
    width = _SMOOTH * fps if np.isfinite(fps) else _UNKNOWN
    curve = gaussian_filter1d(median_filter(whole, 3, mode="nearest"), min(width, len(whole) / 20), mode="nearest")
    swing = np.ptp(curve)
    if swing <= max(_FLAT * curve.mean(), _NOISE * np.median(np.abs(whole - curve))):
        return np.empty((0, 2), dtype=np.int64)
    beats = [beat for beat in _falls(curve, swing, fps) if _is_whole(curve, swing, *beat)]
    return np.array(beats or [(curve.argmax(), curve.argmin())], dtype=np.int64)


def _falls(curve: np.ndarray, swing: float, fps: float) -> list[tuple[int, int]]:
    """Each trough, and before it the highest point since the last one."""
    apart = max(1.0, _SHORTEST * fps) if np.isfinite(fps) else 1
    walled = np.pad(-curve, 1, constant_values=-curve.max() - swing)  # so that a trough may lie at an end
    troughs = find_peaks(walled, prominence=_DEEP * swing, distance=apart)[0] - 1
    falls, start = [], 0
    for trough in troughs:
        peak = start + int(curve[start : trough + 1].argmax())
        falls.append((peak, int(trough)))
        start = trough
    return falls


def _is_whole(curve: np.ndarray, swing: float, peak: int, trough: int) -> bool:
    """Whether the fall is deep enough and neither of its ends was cut."""
    high = peak > 0 or curve[0] >= curve.max() - _NEAR * swing
    low = trough < len(curve) - 1 or curve[-1] <= curve.min() + _NEAR * swing
    return high and low and curve[peak] - curve[trough] >= _DEEP * swing
