"""The two approaches, each as one object: contours → what the loss sees, logits → masks and landmarks.

A run saves the configuration of its codec, so prediction cannot decode otherwise than training encoded.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from echoseg.data.decode import resize_points
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.geometry.spline import close_spline
from echoseg.ops import Targets, build_info, decode_heatmaps, fill_polygons, render_targets

_OFF_THE_IMAGE = -1e6  # pixels: a landmark there leaves a plane of zeros


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

    def encode(
        self, contours: np.ndarray, size: tuple[int, int], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(N, P, 2) float32 contours → what the loss sees, on ``device``.

        Returns:
            (N, channels, H, W) float32 targets, overwritten by the next call, and the (N, K, 2) float32 landmarks;
            None in the mask approach.
        """

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        """(N, channels, h, w) logits → masks, probabilities and landmarks for frames of ``size``."""

    def landmarks(self, contours: np.ndarray) -> np.ndarray | None:
        """(N, P, 2) contours → the (N, K, 2) landmarks that the network is to find; None in the mask approach."""


@dataclass
class MaskCodec:
    """One channel: ventricle or not."""

    channels: ClassVar[int] = 1

    def __post_init__(self) -> None:
        self._masks: torch.Tensor | None = None

    def encode(self, contours: np.ndarray, size: tuple[int, int], device: torch.device) -> tuple[torch.Tensor, None]:
        points = torch.from_numpy(contours).to(_drawing_device(device))
        if not _fits(self._masks, len(contours), size, points.device):
            self._masks = points.new_zeros((len(contours), *size), dtype=torch.uint8)
        assert self._masks is not None
        masks = fill_polygons(points, size, out=self._masks[: len(contours)])
        return masks[:, None].to(device, torch.float32), None

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
        self._pool: Targets | None = None
        self._drawn = torch.empty(0)  # the landmarks that the pool's heatmaps show

    @property
    def channels(self) -> int:
        return self.count

    def encode(
        self, contours: np.ndarray, size: tuple[int, int], device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        batch = len(contours)
        points = torch.from_numpy(contours).to(_drawing_device(device))
        landmarks = torch.from_numpy(choose_landmarks(contours, self.count)).to(points.device)
        if self._pool is None or not _fits(self._pool.mask, batch, size, points.device):
            masks = points.new_zeros((2, batch, *size), dtype=torch.uint8)
            self._pool = Targets(masks[0], masks[1], points.new_zeros((batch, self.count, *size)))
            self._drawn = torch.full_like(landmarks, _OFF_THE_IMAGE)
        targets = render_targets(
            points,
            landmarks,
            size,
            sigma=self.sigma,
            radius=self.radius,
            kernel_size=self.kernel_size,
            iterations=self.iterations,
            out=Targets(*(part[:batch] for part in self._pool)),
            previous=self._drawn[:batch],
        )
        self._drawn[:batch] = landmarks
        return targets.heatmaps.to(device), landmarks.to(device)

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


@functools.cache  # asking the driver about its devices takes longer than drawing a batch
def _drawing_device(device: torch.device) -> torch.device:
    """The device itself, but the CPU where this build has no CUDA kernels, or the driver is too old for them."""
    return device if device.type != "cuda" or build_info()["cuda_devices"] else torch.device("cpu")


def _fits(pool: torch.Tensor | None, batch: int, size: tuple[int, int], device: torch.device) -> bool:
    """Whether a batch fits into memory drawn to before: first touch of memory costs more than drawing."""
    return pool is not None and len(pool) >= batch and tuple(pool.shape[1:]) == tuple(size) and pool.device == device


def _resize(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(planes.shape[2:]) == tuple(size):
        return planes
    return F.interpolate(planes, size=size, mode="bilinear", align_corners=False)
