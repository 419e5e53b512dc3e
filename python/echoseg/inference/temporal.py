"""Smooths the motion of points over the frames of a cine.

The accelerations of a point are modelled as independent Gaussian numbers. The errors of its measured positions have
given covariances and the tails of Student's t distribution, so that a single frame that places a point far from its
track does not bend the track. The variances of accelerations and errors are chosen by maximum likelihood for each
cine: the smoothing adapts to the frame rate, the heart rate and the size of the image.

Source: the smoother of Rauch et al., "Maximum likelihood estimates of linear dynamic systems", AIAA Journal 3 (8),
1965, for the second-order random walk, computed as the solution of one banded system of linear equations (Rue and Held,
"Gaussian Markov Random Fields", 2005). The weights of the tails: Lange et al., "Robust statistical modeling using the t
distribution", JASA 84, 1989.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve_banded, cholesky_banded

from echoseg.geometry.landmarks import choose_landmarks

_MIN_FRAMES = 5
_CONTOUR_POINTS = 96
_RATIOS = 4.0 ** np.arange(-7, 4)
"""Candidates for the variance of accelerations, relative to that of measured positions."""
_NEIGHBOURS = np.array([0.25, 1.0, 4.0])
_FREEDOM = 4.0  # degrees of freedom of Student's t distribution
_ITERATIONS = 8
_MIN_SCALE = 1e-8  # square pixels: the differences of points that do not move are rounding errors
_BAND = 4  # sub-diagonals: second differences of two interleaved coordinates


class Tracks(NamedTuple):
    """Smoothed points.

    Attributes:
        points: (T, K, 2) float64, pixels.
        distances: (T, K) float64: Mahalanobis distance of each measured position from its track.
    """

    points: np.ndarray
    distances: np.ndarray


def smooth_tracks(points: np.ndarray, covariances: np.ndarray | None = None) -> Tracks:
    """Smooth the tracks of K points over T frames.

    Args:
        points: (T, K, 2) float, pixels; nan where a position is unknown, which is then interpolated.
        covariances: (T, K, 2, 2) float, square pixels: covariances of the errors, up to a common factor. None: all
            are equal.

    Returns:
        The smoothed points. Points that are known in fewer than five frames are returned as they are.
    """
    points = np.asarray(points, dtype=np.float64)
    if covariances is None:
        covariances = np.broadcast_to(np.eye(2), (*points.shape, 2))
    known = np.isfinite(points).all(axis=2)
    if not points.shape[1] or (known.sum(axis=0) < _MIN_FRAMES).any():
        return Tracks(points, np.zeros(known.shape))
    information = np.zeros((*points.shape, 2))
    information[known] = np.linalg.inv(covariances[known])
    information /= np.median(np.trace(information[known], axis1=1, axis2=2)) / 2
    measured = np.where(known[..., None], points, 0.0)

    weights = known.astype(np.float64)
    candidates = _RATIOS
    for _ in range(_ITERATIONS):
        weighted = information * weights[..., None, None]
        best = max((_fit(measured, weighted, known, ratio) for ratio in candidates), key=lambda fit: fit.likelihood)
        candidates = best.ratio * _NEIGHBOURS
        difference = measured - best.tracks
        squares = np.einsum("tki,tkij,tkj->tk", difference, information, difference) / best.scale
        weights = known * (_FREEDOM + 2) / (_FREEDOM + squares)
    return Tracks(np.ascontiguousarray(best.tracks), np.sqrt(squares))


def smooth_contours(contours: list[np.ndarray]) -> list[np.ndarray]:
    """Smooth closed contours over the frames of a cine.

    Each contour is replaced by points at equal distances along it, which start above its centroid, and the tracks of
    these points are smoothed.

    Args:
        contours: T closed contours, (P, 2) float32, pixels; (0, 2) in frames without a contour, which stay without.

    Returns:
        T closed contours, (96, 2) float32, pixels.
    """
    lengths = [len(contour) for contour in contours]
    if np.count_nonzero(lengths) < _MIN_FRAMES:
        return contours
    offsets = np.cumsum([0, *lengths])
    points = choose_landmarks(np.concatenate(contours), _CONTOUR_POINTS, scheme="arc", offsets=offsets)
    smoothed = smooth_tracks(points).points.astype(np.float32)
    return [track if length else contour for track, length, contour in zip(smoothed, lengths, contours, strict=True)]


class _Fit(NamedTuple):
    ratio: float
    tracks: np.ndarray  # (T, K, 2)
    scale: float  # the variance of a position of unit weight
    likelihood: float


def _fit(measured: np.ndarray, weighted: np.ndarray, known: np.ndarray, ratio: float) -> _Fit:
    """The most likely tracks for one ratio of the variances, and the logarithm of its marginal likelihood."""
    frames, count = known.shape
    factor = cholesky_banded(_system(weighted, ratio), lower=True, check_finite=False)
    right = np.einsum("tkij,tkj->kti", weighted, measured)
    tracks = cho_solve_banded((factor, True), right.ravel(), check_finite=False).reshape(right.shape).transpose(1, 0, 2)
    difference = measured - tracks
    misfit = np.einsum("tki,tkij,tkj->", difference, weighted, difference)
    roughness = (np.diff(tracks, n=2, axis=0) ** 2).sum() / ratio
    # the second-order random walk leaves position and velocity free: two numbers for each coordinate
    degrees = 2 * (known.sum() - 2 * count)
    scale = max((misfit + roughness) / degrees, _MIN_SCALE)
    determinants = 2 * np.log(factor[0]).sum() + 2 * count * (frames - 2) * np.log(ratio)
    return _Fit(ratio, tracks, scale, -(degrees * np.log(scale) + determinants) / 2)


def _system(weighted: np.ndarray, ratio: float) -> np.ndarray:
    """The lower bands, (5, 2 K T), of the information matrix; the points follow one another, each with all frames."""
    frames, count = weighted.shape[:2]
    bands = np.zeros((_BAND + 1, count, frames, 2))
    bands[0] = np.einsum("tkii->kti", weighted)
    bands[1, :, :, 0] = weighted[..., 0, 1].T
    steps = np.zeros((3, frames))  # the diagonals of D'D, where D computes second differences
    for shift, value in ((0, 1.0), (1, -2.0), (2, 1.0)):
        for other, factor in ((0, 1.0), (1, -2.0), (2, 1.0)):
            if other >= shift:
                steps[other - shift, shift : shift + frames - 2] += value * factor
    bands[0::2] += steps[:, None, :, None] / ratio
    return bands.reshape(_BAND + 1, -1)
