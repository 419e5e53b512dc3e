"""Measures how unlike images are to those that a network was trained on.

An image is described by a few statistics: means and standard deviations of a coarse grid of blocks, autocorrelations,
and quantiles of the grey levels. Its distance from the training images is the Mahalanobis distance of these statistics,
with a shrunk covariance. The limit is a quantile of the distances of training images from those of other patients.

Source: Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and Adversarial Attacks",
NeurIPS 2018, who compute the distance of a network's features; shrinkage of the covariance: Ledoit and Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", J. Multivar. Anal. 88, 2004.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse

QUANTILE = 0.99
"""The quantile of the distances of held-out training images that is the limit."""
_FOLDS = 5
_SHRINKAGE = 0.1  # weight of the identity in the correlation matrix
_GRID = 4  # blocks along each side
_LAGS = (1, 2, 4, 8)  # pixels
_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.9, 0.99)
_DARK = 8  # grey level
_CHUNK = 256  # frames


@dataclass(frozen=True)
class ImageDomain:
    """The images that a network was trained on.

    Attributes:
        mean: (D,) float64, the mean of their statistics.
        whitening: (D, D) float64, which maps differences from the mean to uncorrelated numbers of variance 1 / D.
        limit: The distance beyond which an image is unlike them.
    """

    mean: np.ndarray
    whitening: np.ndarray
    limit: float

    def distances(self, frames: np.ndarray) -> np.ndarray:
        """Distances of images from the training images, as multiples of the limit.

        Args:
            frames: (N, H, W) uint8, of the network's size.

        Returns:
            (N,) float64; an image beyond 1 is unlike the training images.
        """
        return _norms(image_statistics(frames), self) / self.limit

    def save(self, path: Path) -> None:
        """Write the numbers as JSON with a checksum."""
        values = {"mean": self.mean.tolist(), "whitening": self.whitening.tolist(), "limit": self.limit}
        path.write_text(json.dumps(add_checksum(values)) + "\n", encoding="utf-8")


def load_image_domain(path: Path) -> ImageDomain:
    """Read what `ImageDomain.save` wrote.

    Raises:
        DataError: The file is damaged.
    """
    try:
        values = parse(path.read_text(encoding="utf-8"))
        return ImageDomain(np.array(values["mean"]), np.array(values["whitening"]), float(values["limit"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); train again") from None


def fit_image_domain(frames: np.ndarray, patients: Sequence[str]) -> ImageDomain | None:
    """Describe the images of a training.

    The limit is computed from held-out images: the patients are divided into five folds, and the distance of each image
    is that from the images of the other folds.

    Args:
        frames: (N, H, W) uint8, of the network's size.
        patients: N names, the patient of each image.

    Returns:
        The description; None if there is only one patient.
    """
    _, patient = np.unique(np.asarray(patients), return_inverse=True)
    folds = min(_FOLDS, patient.max(initial=0) + 1)
    if folds < 2:
        return None
    statistics = image_statistics(frames)
    held_out = np.empty(len(statistics))
    for fold in range(folds):
        is_out = patient % folds == fold
        held_out[is_out] = _norms(statistics[is_out], _describe(statistics[~is_out]))
    return replace(_describe(statistics), limit=float(np.quantile(held_out, QUANTILE)))


def image_statistics(frames: np.ndarray) -> np.ndarray:
    """Compute the statistics that describe images.

    Those of the blocks, the autocorrelations and the quantiles are of frames with mean 0 and standard deviation 1, such
    as the network gets.

    Args:
        frames: (N, H, W) uint8; H and W are at least 16.

    Returns:
        (N, 49) float64.
    """
    if len(frames) > _CHUNK:
        return np.concatenate([image_statistics(frames[i : i + _CHUNK]) for i in range(0, len(frames), _CHUNK)])
    count, height, width = frames.shape
    greys = np.asarray(frames).astype(np.float32)
    mean, deviation = greys.mean(axis=(1, 2)), greys.std(axis=(1, 2)) + 1
    normalized = (greys - mean[:, None, None]) / deviation[:, None, None]

    sides = height // _GRID, width // _GRID
    blocks = normalized[:, : _GRID * sides[0], : _GRID * sides[1]].reshape(count, _GRID, sides[0], _GRID, sides[1])
    block_means = blocks.mean(axis=(2, 4))
    block_deviations = np.sqrt((np.square(blocks).mean(axis=(2, 4)) - block_means**2).clip(min=0))
    autocorrelations = [
        np.einsum(
            "nij,nij->n",
            normalized[:, lag * down :, lag * right :],
            normalized[:, : height - lag * down, : width - lag * right],
        )
        / ((height - lag * down) * (width - lag * right))
        for lag in _LAGS
        for down, right in ((0, 1), (1, 0))
    ]
    counts = np.stack([np.bincount(frame.ravel(), minlength=256) for frame in frames]) if count else np.zeros((0, 256))
    shares = counts.cumsum(axis=1) / (height * width)
    quantiles = np.stack([(shares < level).sum(axis=1) for level in _LEVELS], axis=1)
    parts = (
        block_means.reshape(count, _GRID**2),
        np.log(block_deviations + 0.05).reshape(count, _GRID**2),
        np.stack(autocorrelations, axis=1),
        (quantiles - mean[:, None]) / deviation[:, None],
        np.stack([mean / 255, deviation / 255, shares[:, _DARK - 1]], axis=1),
    )
    return np.concatenate(parts, axis=1, dtype=np.float64)


def _describe(statistics: np.ndarray) -> ImageDomain:
    """The description of (N, D) statistics, with the limit 1."""
    mean, deviation = statistics.mean(axis=0), statistics.std(axis=0) + 1e-6
    scaled = (statistics - mean) / deviation
    size = len(mean)
    correlation = (1 - _SHRINKAGE) * scaled.T @ scaled / len(scaled) + _SHRINKAGE * np.eye(size)
    values, vectors = np.linalg.eigh(correlation)
    return ImageDomain(mean, vectors / np.sqrt(size * values) / deviation[:, None], 1.0)


def _norms(statistics: np.ndarray, domain: ImageDomain) -> np.ndarray:
    return np.linalg.norm((statistics - domain.mean) @ domain.whitening, axis=1)
