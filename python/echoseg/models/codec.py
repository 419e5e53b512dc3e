"""The two approaches, each as one object: contours → what the loss sees, logits → masks and landmarks.

A run saves the configuration of its codec, so prediction cannot decode otherwise than training encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from echoseg.data.decode import resize_points
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.spline import close_spline
from echoseg.ops import Targets, decode_heatmaps, fill_polygons, render_targets


class Decoded(NamedTuple):
    """What a batch of logits says.

    Attributes:
        masks: (N, H, W) uint8, 0 or 1.
        probabilities: (N, H, W) float32. Mask approach: that the pixel is ventricle. Landmark approach: the largest
            of the K heatmaps, each scaled to a maximum of 1; it shows where landmarks are seen.
        landmarks: (N, K, 2) float32, pixels; None in the mask approach.
    """

    masks: np.ndarray
    probabilities: np.ndarray
    landmarks: np.ndarray | None


class Codec(Protocol):
    """What training and inference need to know of an approach."""

    @property
    def channels(self) -> int: ...

    def encode(self, contours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(N, P, 2) float32 contours → (N, channels, H, W) targets; the array is re-used by the next call."""

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        """(N, channels, h, w) logits → masks, probabilities and landmarks for frames of ``size``."""

    def landmarks(self, contours: np.ndarray) -> np.ndarray | None:
        """(N, P, 2) contours → the (N, K, 2) landmarks that the network is to find; None in the mask approach."""


@dataclass
class MaskCodec:
    """One channel: ventricle or not."""

    channels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._pool: np.ndarray | None = None

    def encode(self, contours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        self._pool = _fitting(self._pool, (len(contours), *size), np.uint8)
        return fill_polygons(contours, size, out=self._pool[: len(contours)])[:, None]

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        probabilities = _resize(logits.float().sigmoid(), size)[:, 0].cpu().numpy()
        return Decoded((probabilities >= 0.5).astype(np.uint8), probabilities, None)

    def landmarks(self, contours: np.ndarray) -> None:
        return None


@dataclass
class LandmarkCodec:
    """K channels: a heatmap a landmark, cut to the border band and to a disc, as in the first seed paper.

    Attributes:
        count: landmarks, K.
        sigma: of the Gaussian, pixels.
        radius: heatmaps are zero beyond it ("pixel expansion"), pixels.
        kernel_size, iterations: of the border band; see ``ops.border_band``.
    """

    count: int
    sigma: float
    radius: float
    kernel_size: int
    iterations: int

    def __post_init__(self) -> None:
        self._pool: list[np.ndarray | None] = [None, None, None]

    @property
    def channels(self) -> int:
        return self.count

    def encode(self, contours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        batch = len(contours)
        plane = (batch, *size)
        mask = _fitting(self._pool[0], plane, np.uint8)
        band = _fitting(self._pool[1], plane, np.uint8)
        heatmaps = _fitting(self._pool[2], (batch, self.count, *size), np.float32)
        self._pool = [mask, band, heatmaps]
        return render_targets(
            contours,
            choose_landmarks(contours, self.count),
            size,
            sigma=self.sigma,
            radius=self.radius,
            kernel_size=self.kernel_size,
            iterations=self.iterations,
            out=Targets(mask[:batch], band[:batch], heatmaps[:batch]),
        ).heatmaps

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        logits = logits.float().contiguous()
        heatmaps = torch.exp(logits - logits.amax(dim=(2, 3), keepdim=True))
        landmarks = decode_heatmaps(heatmaps.cpu().numpy())[0]
        landmarks = resize_points(landmarks, (logits.shape[2], logits.shape[3]), size)
        masks = fill_polygons(close_spline(landmarks), size)
        probabilities = _resize(heatmaps.amax(dim=1, keepdim=True), size)[:, 0].cpu().numpy()
        return Decoded(masks, probabilities, landmarks)

    def landmarks(self, contours: np.ndarray) -> np.ndarray:
        return choose_landmarks(contours, self.count)


def _fitting(pool: np.ndarray | None, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """The pool if a batch of this shape fits it, else a new one: first touch of memory costs more than drawing."""
    if pool is not None and len(pool) >= shape[0] and pool.shape[1:] == shape[1:]:
        return pool
    return np.zeros(shape, dtype)


def _resize(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(planes.shape[2:]) == tuple(size):
        return planes
    return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)
