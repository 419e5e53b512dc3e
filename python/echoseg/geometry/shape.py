"""A statistical shape model of the landmarks in a training set.

Landmarks are aligned to the mean shape by translation, rotation and scaling, without reflection. The model consists of
the principal components of the remaining deviations. All components are kept: the tolerance for landmark errors is
added to each variance, so that components of small variance have little effect. A shape whose distance from the mean
exceeds that of nearly all training shapes is implausible.

Source: Cootes et al., "Active Shape Models - Their Training and Application", Computer Vision and Image Understanding
61, 1995. The mean in closed form: Kent, "The Complex Bingham Distribution and Shape Analysis", J R Stat Soc B 56, 1994.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse

QUANTILE = 0.995
"""The quantile of the training set's distances that is the limit of plausible shapes."""
TOLERANCE = 0.15
"""The standard deviation of landmark errors, relative to the mean radius of the contour."""


@dataclass(frozen=True)
class ShapeModel:
    """A shape model of K landmarks.

    Attributes:
        mean: (2, K) float64, x and y of the mean shape, centred, with norm 1.
        components: (2 K, 2 K) float64, one principal component per row.
        variances: (2 K,) float64, the variances of the training set's coefficients.
        limit: The `QUANTILE` of the training set's `distances`.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    limit: float

    def distances(self, landmarks: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each shape from the mean shape. Shapes with a distance above `limit` are implausible.

        Args:
            landmarks: (N, K, 2) float, pixels.

        Returns:
            (N,) float64; infinite if all landmarks of a shape are equal.
        """
        coefficients = _deviations(landmarks, self.mean) @ self.components.T
        variances = self.variances + TOLERANCE**2 / self.mean.shape[1]
        squares = (coefficients**2 / variances).sum(axis=1)
        return np.sqrt(np.where(np.isfinite(squares), squares, np.inf))

    def save(self, path: Path) -> None:
        """Write the model as JSON with a checksum."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "components", "variances")}
        path.write_text(json.dumps(add_checksum({**arrays, "limit": self.limit})) + "\n", encoding="utf-8")


def load_shapes(path: Path) -> ShapeModel:
    """Read a model that `ShapeModel.save` wrote.

    Raises:
        DataError: The file is damaged.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
        mean, components, variances = (np.array(values[name]) for name in ("mean", "components", "variances"))
        return ShapeModel(mean, components, variances, float(values["limit"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); train again") from None


def fit_shapes(landmarks: np.ndarray) -> ShapeModel:
    """Fit a shape model to a training set.

    Args:
        landmarks: (N, K, 2) float, pixels; the landmarks of a shape must not all be equal.
    """
    shapes = _centre(landmarks)
    shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
    mean = np.linalg.eigh(shapes.T @ shapes.conj())[1][:, -1]
    rotation = (shapes @ mean.conj()).sum()  # gives the mean shape the average orientation of the training set
    mean = mean * rotation / abs(rotation)
    mean_xy = np.stack([mean.real, mean.imag])

    deviations = _deviations(landmarks, mean_xy)
    variances, components = np.linalg.eigh(deviations.T @ deviations / len(deviations))
    model = ShapeModel(mean_xy, components.T, variances.clip(min=0), np.inf)
    return replace(model, limit=float(np.quantile(model.distances(landmarks), QUANTILE)))


def _deviations(landmarks: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Align shapes to the mean shape, and project them to the tangent space there.

    Points are complex numbers x + iy, so that a rotation with scaling is a multiplication.

    Returns:
        (N, 2 K) float64, the differences from the mean shape.
    """
    shapes = _centre(landmarks)
    reference = mean[0] + 1j * mean[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = shapes / (shapes @ reference.conj()[:, None]) - reference
    return np.concatenate([differences.real, differences.imag], axis=1)


def _centre(landmarks: np.ndarray) -> np.ndarray:
    """The shapes as complex numbers relative to their centre, (N, K)."""
    points = np.asarray(landmarks, dtype=np.float64)
    shapes = points[..., 0] + 1j * points[..., 1]
    return shapes - shapes.mean(axis=1, keepdims=True)
