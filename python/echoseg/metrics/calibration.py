"""Calibrates the uncertainty of landmarks from heatmaps, on images that the network was not trained on.

A heatmap of a certain network has the second moments of its target, σ² in each direction. The covariance of a landmark
with the moments m is therefore a (m - σ² I)₊ + b I, where a and b maximize the likelihood of the errors on the
validation images. The errors of the landmarks of one contour are correlated, for example when the whole contour is too
large, and areas and volumes depend strongly on these correlations. The calibration therefore includes the second
moments of all errors of a contour, each whitened by the landmark's own covariance.

Source: The likelihood of a covariance, Kumar et al., "LUVLi Face Alignment", CVPR 2020. Linear propagation of errors,
"Guide to the expression of uncertainty in measurement", JCGM 100:2008.
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
"""The coverage levels that are reported."""
_MIN_VARIANCE = 1e-4  # square pixels; keeps the variance positive if there are no errors


@dataclass(frozen=True)
class Calibration:
    """Converts second moments of heatmaps to covariances of landmarks, and propagates them.

    Attributes:
        spread: σ² of the targets, in square pixels of the network's frames.
        scale: The factor a.
        floor: The offset b, in square pixels.
        error_correlation: (2 K, 2 K) float64, second moments of the whitened errors of one contour; x and y of the
            first landmark come first.
    """

    spread: float
    scale: float
    floor: float
    error_correlation: np.ndarray

    def covariances(self, moments: np.ndarray) -> np.ndarray:
        """Covariances of the landmarks.

        Args:
            moments: (N, K, 2, 2) float, second moments of the heatmaps, square pixels.

        Returns:
            (N, K, 2, 2) float64, square pixels.
        """
        values, vectors = np.linalg.eigh(moments)
        return _compose(self.scale * (values - self.spread).clip(min=0) + self.floor, vectors)

    def deviations(
        self, measure: Callable[[np.ndarray], np.ndarray], landmarks: np.ndarray, covariances: np.ndarray
    ) -> np.ndarray:
        """Standard deviation of a quantity computed from landmarks, by linear propagation of errors.

        Args:
            measure: Function from landmarks (M, K, 2) to a quantity (M,), for example an area; approximately linear
                within the errors.
            landmarks: (N, K, 2) float, pixels.
            covariances: (N, K, 2, 2) float, square pixels.

        Returns:
            (N,) float64, in the unit of the quantity.
        """
        count = landmarks.shape[1]
        values, vectors = np.linalg.eigh(self.error_correlation)
        axes = (vectors * np.sqrt(values.clip(min=0))).T.reshape(-1, 1, count, 2, 1)
        steps = (_matrix_sqrt(covariances) @ axes)[..., 0]  # (2 K, N, K, 2), one standard deviation along each axis
        moved = np.stack([landmarks + steps, landmarks - steps])
        plus, minus = measure(moved.reshape(-1, count, 2)).reshape(2, 2 * count, len(landmarks))
        return np.sqrt((((plus - minus) / 2) ** 2).sum(axis=0))

    def joint_covariances(self, covariances: np.ndarray) -> np.ndarray:
        """Covariances of all landmarks of a contour, with the correlation between landmarks.

        Args:
            covariances: (N, K, 2, 2) float, square pixels, those of each landmark.

        Returns:
            (N, 2 K, 2 K) float64, square pixels; x and y of the first landmark come first.
        """
        count = covariances.shape[1]
        blocks = np.zeros((len(covariances), count, 2, count, 2))
        each = np.arange(count)
        blocks[:, each, :, each] = _matrix_sqrt(covariances).swapaxes(0, 1)
        roots = blocks.reshape(-1, 2 * count, 2 * count)
        return roots @ self.error_correlation @ roots

    def condition_on(
        self, landmarks: np.ndarray, covariances: np.ndarray, pinned: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """Compute the most likely landmarks, given the true positions of some of them.

        The errors of the landmarks are modelled as one Gaussian; the result is its conditional mean.

        Args:
            landmarks: (K, 2) float, pixels, the predicted landmarks.
            covariances: (K, 2, 2) float, square pixels, the covariances of their errors.
            pinned: (J,) int, the indices of the landmarks with a known position.
            positions: (J, 2) float, pixels, their positions.

        Returns:
            (K, 2) float32, pixels.
        """
        joint = self.joint_covariances(covariances[None])[0]
        known = (2 * np.asarray(pinned)[:, None] + np.arange(2)).ravel()
        errors = (landmarks[pinned] - positions).ravel()
        conditional_mean = joint[:, known] @ np.linalg.solve(joint[np.ix_(known, known)], errors)
        return (landmarks - conditional_mean.reshape(-1, 2)).astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the calibration as JSON with a checksum."""
        path.write_text(
            json.dumps(add_checksum({**asdict(self), "error_correlation": self.error_correlation.tolist()})) + "\n",
            encoding="utf-8",
        )


def load_calibration(path: Path) -> Calibration:
    """Read a calibration that `Calibration.save` wrote.

    Raises:
        DataError: The file is damaged.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
        spread, scale, floor = (float(values[name]) for name in ("spread", "scale", "floor"))
        return Calibration(spread, scale, floor, np.array(values["error_correlation"], dtype=np.float64))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); train again") from None


def fit_calibration(errors: np.ndarray, moments: np.ndarray, spread: float) -> Calibration:
    """Fit a calibration by maximum likelihood.

    Args:
        errors: (N, K, 2) float, predicted minus true landmarks, in pixels of the network's frames.
        moments: (N, K, 2, 2) float, second moments of the heatmaps, square pixels.
        spread: σ² of the targets, square pixels.
    """
    values, vectors = np.linalg.eigh(np.asarray(moments, dtype=np.float64))
    excess = (values - spread).clip(min=0)
    along = np.einsum("nkij,nki->nkj", vectors, errors)  # in the eigenvectors, which an isotropic floor does not change

    def negative_log_likelihood(logarithms: np.ndarray) -> float:
        scale, floor = np.exp(logarithms)
        variances = scale * excess + floor + _MIN_VARIANCE
        return float((np.log(variances) + along**2 / variances).mean())

    scale, floor = np.exp(minimize(negative_log_likelihood, [0.0, 0.0], method="Nelder-Mead").x)
    floor += _MIN_VARIANCE
    whitened = np.einsum("nkij,nkj->nki", vectors, along / np.sqrt(scale * excess + floor)).reshape(len(errors), -1)
    size = whitened.shape[1]
    # shrinkage: the prior corresponds to 2 K images with uncorrelated errors
    correlation = (whitened.T @ whitened + size * np.eye(size)) / (len(errors) + size)
    return Calibration(float(spread), float(scale), float(floor), correlation)


def ellipse_coverage(errors: np.ndarray, covariances: np.ndarray) -> dict[str, float]:
    """Coverage of confidence ellipses: the share of true landmarks inside, at each of `LEVELS`.

    Args:
        errors: (N, K, 2) float, predicted minus true landmarks.
        covariances: (N, K, 2, 2) float, in the squared unit of the errors.

    Returns:
        Level in percent, for example "95", → share.
    """
    squares = np.einsum("nki,nkij,nkj->nk", errors, np.linalg.inv(covariances), errors)
    return {_percent(level): float((squares <= chi2.ppf(level, 2)).mean()) for level in LEVELS}


def interval_coverage(errors: np.ndarray, deviations: np.ndarray) -> dict[str, float]:
    """Coverage of confidence intervals: the share of true values inside, at each of `LEVELS`.

    Args:
        errors: (N,) float, predicted minus true values.
        deviations: (N,) float, predicted standard deviations.

    Returns:
        Level in percent, for example "95", → share.
    """
    squares = np.square(errors)
    return {_percent(level): float((squares <= chi2.ppf(level, 1) * deviations**2).mean()) for level in LEVELS}


def _percent(level: float) -> str:
    return f"{100 * level:g}"


def _compose(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(..., 2, 2) symmetric matrices with the given eigenvalues and eigenvectors."""
    return vectors * values[..., None, :] @ vectors.swapaxes(-1, -2)


def _matrix_sqrt(covariances: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariances)
    return _compose(np.sqrt(values.clip(min=0)), vectors)
