"""What a network's heatmaps say of its errors, made true on images that it was not trained on.

The second moments m of a heatmap are no error yet: a certain network spreads as its targets do, by σ² in each
direction. So a landmark's covariance is a (m - σ² I)₊ + b I, where a and b make the errors of the validation images
most likely. The errors of one outline go together (all of it is a little too large, or slid along itself), and areas
and volumes depend on that more than on each error's size: so the second moments of all of an outline's errors, each
divided by the root of its own covariance, are kept too.

Source: the likelihood of a covariance as in Kumar et al., "LUVLi Face Alignment", CVPR 2020; linear propagation of
errors as in the "Guide to the expression of uncertainty in measurement", JCGM 100:2008.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.stats import chi2

from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse

LEVELS = (0.5, 0.9, 0.95)
_LEAST = 1e-4  # square pixels: the variance of a network that makes no errors


@dataclass(frozen=True)
class Calibration:
    """From moments of heatmaps to covariances of landmarks, and on to what is computed from landmarks.

    Attributes:
        spread: σ² of the targets, square pixels of the network's frames.
        scale: a.
        floor: b, square pixels.
        error_correlation: (2 K, 2 K) float64, second moments of the errors of one contour, x and y of each landmark in
            turn, each divided by the root of its landmark's covariance.
    """

    spread: float
    scale: float
    floor: float
    error_correlation: np.ndarray

    def covariances(self, moments: np.ndarray) -> np.ndarray:
        """(N, K, 2, 2) moments of heatmaps → (N, K, 2, 2) float64 covariances of the landmarks, square pixels."""
        values, vectors = np.linalg.eigh(moments)
        return _with(self.scale * (values - self.spread).clip(min=0) + self.floor, vectors)

    def deviations(
        self, measure: Callable[[np.ndarray], np.ndarray], landmarks: np.ndarray, covariances: np.ndarray
    ) -> np.ndarray:
        """Standard deviation of what is measured on landmarks.

        Args:
            measure: (M, K, 2) landmarks → (M,), such as an area; nearly linear within the errors.
            landmarks: (N, K, 2) float, pixels.
            covariances: (N, K, 2, 2) float, of any frame size.

        Returns:
            (N,) float64, in the measure's unit.
        """
        count = landmarks.shape[1]
        values, vectors = np.linalg.eigh(self.error_correlation)
        axes = (vectors * np.sqrt(values.clip(min=0))).T.reshape(-1, 1, count, 2, 1)
        steps = (_roots(covariances) @ axes)[..., 0]  # (2 K, N, K, 2): one standard deviation along each axis
        moved = np.stack([landmarks + steps, landmarks - steps])
        ahead, behind = measure(moved.reshape(-1, count, 2)).reshape(2, 2 * count, len(landmarks))
        return np.sqrt((((ahead - behind) / 2) ** 2).sum(axis=0))

    def condition_on(
        self, landmarks: np.ndarray, covariances: np.ndarray, held: np.ndarray, places: np.ndarray
    ) -> np.ndarray:
        """Where landmarks most likely lie once it is known where some of them do.

        The errors of one outline go together, so those of the held landmarks tell of the others': a Gaussian given a
        part of it.

        Args:
            landmarks: (K, 2) float, pixels, as predicted.
            covariances: (K, 2, 2) float, of their errors.
            held: (J,) int, the landmarks that are known.
            places: (J, 2) float, pixels, where they lie.

        Returns:
            (K, 2) float32, pixels.
        """
        count = len(landmarks)
        roots = np.zeros((count, 2, count, 2))
        roots[np.arange(count), :, np.arange(count)] = _roots(covariances)
        every = roots.reshape(2 * count, 2 * count)
        together = every @ self.error_correlation @ every
        known = (2 * np.asarray(held)[:, None] + np.arange(2)).ravel()
        errors = (landmarks[held] - places).ravel()
        told = together[:, known] @ np.linalg.solve(together[np.ix_(known, known)], errors)
        return (landmarks - told.reshape(count, 2)).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the calibration as JSON."""
        path.write_text(
            json.dumps(add_checksum({**asdict(self), "error_correlation": self.error_correlation.tolist()})) + "\n",
            encoding="utf-8",
        )


def load_calibration(path: Path) -> Calibration:
    """Read what ``Calibration.save`` wrote.

    Raises:
        DataError: damaged.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
        spread, scale, floor = (float(values[name]) for name in ("spread", "scale", "floor"))
        return Calibration(spread, scale, floor, np.array(values["error_correlation"], dtype=np.float64))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); train anew") from None


def fit_calibration(errors: np.ndarray, moments: np.ndarray, spread: float) -> Calibration:
    """Find the calibration that makes errors most likely.

    Args:
        errors: (N, K, 2) float, predicted less true landmarks, pixels of the network's frames.
        moments: (N, K, 2, 2) float, of the heatmaps.
        spread: σ² of the targets, square pixels.
    """
    values, vectors = np.linalg.eigh(np.asarray(moments, dtype=np.float64))
    excess = (values - spread).clip(min=0)
    along = np.einsum("nkij,nki->nkj", vectors, errors)  # a floor alike in all directions leaves the axes as they are

    def negative_log_likelihood(logarithms: np.ndarray) -> float:
        scale, floor = np.exp(logarithms)
        variances = scale * excess + floor + _LEAST
        return float((np.log(variances) + along**2 / variances).mean())

    scale, floor = np.exp(minimize(negative_log_likelihood, [0.0, 0.0], method="Nelder-Mead").x)
    floor += _LEAST
    whitened = np.einsum("nkij,nkj->nki", vectors, along / np.sqrt(scale * excess + floor)).reshape(len(errors), -1)
    size = whitened.shape[1]
    # few images say little of how errors go together: begin as if 2 K images had shown that they do not
    together = (whitened.T @ whitened + size * np.eye(size)) / (len(errors) + size)
    return Calibration(float(spread), float(scale), float(floor), together)


def ellipse_shares(errors: np.ndarray, covariances: np.ndarray) -> dict[str, float]:
    """Share of the true landmarks inside the ellipses that hold each of ``LEVELS`` of a Gaussian.

    Args:
        errors: (N, K, 2) float, predicted less true.
        covariances: (N, K, 2, 2) float, of the same unit squared.

    Returns:
        by level in percent, such as "95".
    """
    squares = np.einsum("nki,nkij,nkj->nk", errors, np.linalg.inv(covariances), errors)
    return {_percent(level): float((squares <= chi2.ppf(level, 2)).mean()) for level in LEVELS}


def interval_shares(errors: np.ndarray, deviations: np.ndarray) -> dict[str, float]:
    """Share of true values inside the intervals that hold each of ``LEVELS`` of a Gaussian.

    Args:
        errors: (N,) float, predicted less true.
        deviations: (N,) float, predicted standard deviations.

    Returns:
        by level in percent, such as "95".
    """
    squares = np.square(errors)
    return {_percent(level): float((squares <= chi2.ppf(level, 1) * deviations**2).mean()) for level in LEVELS}


def _percent(level: float) -> str:
    return f"{100 * level:g}"


def _with(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(..., 2, 2) symmetric matrices of given eigenvalues and eigenvectors."""
    return vectors * values[..., None, :] @ vectors.swapaxes(-1, -2)


def _roots(covariances: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariances)
    return _with(np.sqrt(values.clip(min=0)), vectors)
