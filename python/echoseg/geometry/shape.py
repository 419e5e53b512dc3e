"""What shapes the training set has: a mean outline, and the ways in which outlines differ from it.

Landmarks are laid over the mean (moved, turned and scaled, never mirrored), and the principal components of what is
left form the model. All of them are kept: each variance is raised by what a landmark may be off, which makes the weak
ones harmless. An outline that lies farther out than nearly all of the training set is called impossible.

Source: Cootes et al., "Active Shape Models - Their Training and Application", Computer Vision and Image Understanding
61, 1995. The mean in closed form: Kent, "The Complex Bingham Distribution and Shape Analysis", J R Stat Soc B 56, 1994.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse

QUANTILE = 0.995  # of the training set's distances: what lies beyond is impossible
CLAMP = 3.0  # standard deviations of a coefficient
TOLERANCE = 0.15  # of the outline's mean radius: what a landmark may be off
STRAY = 0.2  # of the mean radius: a landmark so far from the fit counts half
_FITS = 20


@dataclass(frozen=True)
class ShapeModel:
    """Shapes of K landmarks.

    Attributes:
        mean: (2, K) float64: x and y, centred, of length 1.
        components: (2 K, 2 K) float64, a row each.
        variances: (2 K,) float64, of the training set's coefficients.
        limit: the training set's ``QUANTILE`` of ``distances``.
    """

    mean: np.ndarray
    components: np.ndarray
    variances: np.ndarray
    limit: float

    def distances(self, landmarks: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of each outline from the mean shape; impossible beyond ``limit``.

        Args:
            landmarks: (N, K, 2) float, pixels.

        Returns:
            (N,) float64; infinite where all landmarks are one point.
        """
        coefficients = _deviations(landmarks, self.mean)[0] @ self.components.T
        variances = self.variances + TOLERANCE**2 / self.mean.shape[1]
        squares = (coefficients**2 / variances).sum(axis=1)
        return np.sqrt(np.where(np.isfinite(squares), squares, np.inf))

    def regularize(self, landmarks: np.ndarray) -> np.ndarray:
        """Bring impossible outlines back to within ``CLAMP`` standard deviations of each component.

        What is fitted is not the landmarks as they are: one that is far from the fit counts for little in the next
        one, so that a single stray landmark does not bend the others.

        Args:
            landmarks: (N, K, 2) float, pixels.

        Returns:
            (N, K, 2) float32, pixels. Possible outlines, and those at an infinite distance, stay as they are.
        """
        landmarks = np.asarray(landmarks, dtype=np.float32)
        distances = self.distances(landmarks)
        impossible = (distances > self.limit) & np.isfinite(distances)
        given = landmarks[impossible].astype(np.float64)
        fitted, radius = self._clamped(given)
        for _ in range(_FITS):
            off = np.linalg.norm(given - fitted, axis=2, keepdims=True) / (STRAY * radius)
            fitted, radius = self._clamped(fitted + (given - fitted) / (1 + off**2))
        pulled = landmarks.copy()
        pulled[impossible] = fitted
        return pulled

    def _clamped(self, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N, K, 2) the nearest outlines of the model, and (N, 1, 1) their mean radius."""
        deviations, scale, centre = _deviations(landmarks, self.mean)
        reach = CLAMP * np.sqrt(self.variances)
        clamped = np.clip(deviations @ self.components.T, -reach, reach) @ self.components
        x, y = (self.mean + clamped.reshape(-1, *self.mean.shape)).transpose(1, 0, 2)
        shapes = scale * (x + 1j * y) + centre
        return np.stack([shapes.real, shapes.imag], axis=2), np.abs(scale)[..., None] / np.sqrt(self.mean.shape[1])

    def save(self, path: Path) -> None:
        """Write the model as JSON."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "components", "variances")}
        path.write_text(json.dumps(add_checksum({**arrays, "limit": self.limit})) + "\n", encoding="utf-8")


def load_shapes(path: Path) -> ShapeModel:
    """Read what ``ShapeModel.save`` wrote.

    Raises:
        DataError: damaged.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
        mean, components, variances = (np.array(values[name]) for name in ("mean", "components", "variances"))
        return ShapeModel(mean, components, variances, float(values["limit"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); train anew") from None


def fit_shapes(landmarks: np.ndarray) -> ShapeModel:
    """Learn the shapes of a training set.

    Args:
        landmarks: (N, K, 2) float, pixels; not all of an outline in one point.
    """
    shapes, _ = _centred(landmarks)
    shapes = shapes / np.linalg.norm(shapes, axis=1, keepdims=True)
    mean = np.linalg.eigh(shapes.T @ shapes.conj())[1][:, -1]
    turn = (shapes @ mean.conj()).sum()  # the mean outline stands as the outlines stand on average
    mean = mean * turn / abs(turn)
    parts = np.stack([mean.real, mean.imag])

    deviations = _deviations(landmarks, parts)[0]
    variances, components = np.linalg.eigh(deviations.T @ deviations / len(deviations))
    model = ShapeModel(parts, components.T, variances.clip(min=0), np.inf)
    return ShapeModel(parts, components.T, model.variances, float(np.quantile(model.distances(landmarks), QUANTILE)))


def _deviations(landmarks: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay outlines over the mean, in the plane that touches the sphere of shapes there.

    As complex numbers x + iy: to turn and to scale is then to multiply.

    Returns:
        (N, 2 K) float64, what is left; (N, 1) complex scale and centre, which lead back to the image.
    """
    shapes, centre = _centred(landmarks)
    reference = mean[0] + 1j * mean[1]
    scale = shapes @ reference.conj()[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = shapes / scale - reference
    return np.concatenate([left.real, left.imag], axis=1), scale, centre


def _centred(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.asarray(landmarks, dtype=np.float64)
    shapes = points[..., 0] + 1j * points[..., 1]
    centre = shapes.mean(axis=1, keepdims=True)
    return shapes - centre, centre
