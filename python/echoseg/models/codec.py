"""The two approaches, each as one object: contours → what the loss sees, logits → masks and landmarks.

A run saves the configuration of its codec, so prediction cannot decode otherwise than training encoded.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks
from echoseg.geometry.resize import resize_points
from echoseg.geometry.spline import join_landmarks
from echoseg.ops import Targets, build_info, decode_heatmaps, fill_polygons, render_heatmaps, render_targets

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

    @property
    def choose_before(self) -> bool:
        """Whether landmarks are chosen before the augmentation, and given to ``encode``."""

    def encode(
        self,
        contours: np.ndarray,
        size: tuple[int, int],
        device: torch.device,
        landmarks: np.ndarray | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(N, P, 2) float32 contours, and their (N, K, 2) landmarks where they are chosen already → what the loss
        sees, on ``device``.

        Returns:
            (N, channels, H, W) float32 targets, overwritten by the next call, and the (N, K, 2) float32 landmarks;
            None in the mask approach.
        """

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        """(N, channels, h, w) logits → masks, probabilities and landmarks for frames of ``size``."""

    def landmarks(self, store: Store) -> np.ndarray | None:
        """The (N, K, 2) landmarks of a store's images that the network is to find; None in the mask approach, and
        where the store's tracings do not tell them."""


@dataclass
class MaskCodec:
    """One channel: ventricle or not."""

    channels: ClassVar[int] = 1
    choose_before: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self._masks: torch.Tensor | None = None

    def encode(
        self, contours: np.ndarray, size: tuple[int, int], device: torch.device, landmarks: np.ndarray | None = None
    ) -> tuple[torch.Tensor, None]:
        points = torch.from_numpy(contours).to(_drawing_device(device))
        if not _fits(self._masks, len(contours), size, points.device):
            self._masks = points.new_zeros((len(contours), *size), dtype=torch.uint8)
        assert self._masks is not None
        masks = fill_polygons(points, size, out=self._masks[: len(contours)])
        return masks[:, None].to(device, torch.float32), None

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        probabilities = _resize(logits.float().sigmoid(), size)[:, 0].cpu().numpy()
        return Decoded((probabilities >= 0.5).astype(np.uint8), probabilities, None)

    def landmarks(self, store: Store) -> None:
        return None


@dataclass
class LandmarkCodec:
    """K channels: a heatmap a landmark, cut to a disc and, as in the first seed paper, to the border band.

    Attributes:
        count: landmarks, K.
        scheme: how they are chosen; see ``geometry.landmarks``.
        outline: how they are joined; see ``geometry.spline``.
        heatmap: kind of ``ops.render_heatmaps``.
        sigma: of the Gaussian, pixels.
        radius: heatmaps are zero beyond it ("pixel expansion"), pixels.
        kernel_size, iterations: of the border band, see ``ops.border_band``; with 0 iterations there is none.
        method: of ``ops.decode_heatmaps``; the window of "soft_argmax" reaches two sigmas.
    """

    count: int
    scheme: str
    outline: str
    heatmap: str
    sigma: float
    radius: float
    kernel_size: int
    iterations: int
    method: str

    def __post_init__(self) -> None:
        self._pool: Targets | None = None
        self._drawn = torch.empty(0)  # the landmarks that the pool's heatmaps show

    @property
    def channels(self) -> int:
        return self.count

    @property
    def choose_before(self) -> bool:
        return SCHEMES[self.scheme].anchor == "anatomy"

    def encode(
        self,
        contours: np.ndarray,
        size: tuple[int, int],
        device: torch.device,
        landmarks: np.ndarray | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if landmarks is None:
            landmarks = choose_landmarks(contours, self.count, scheme=self.scheme)
        where = torch.from_numpy(landmarks).to(_drawing_device(device))
        pool = self._room(len(contours), size, where.device)
        previous = self._drawn[: len(contours)]
        style: dict[str, Any] = {
            "kind": self.heatmap,
            "sigma": self.sigma,
            "radius": self.radius,
            "previous": previous,
        }
        if self.iterations:
            points = torch.from_numpy(contours).to(where.device)
            style |= {"kernel_size": self.kernel_size, "iterations": self.iterations}
            render_targets(points, where, size, **style, out=pool)
        else:
            render_heatmaps(where, size, **style, out=pool.heatmaps)
        previous.copy_(where)
        return pool.heatmaps.to(device), where.to(device)

    def _room(self, batch: int, size: tuple[int, int], device: torch.device) -> Targets:
        """Memory for a batch, drawn to before if possible."""
        if self._pool is None or not _fits(self._pool.mask, batch, size, device):
            masks = torch.zeros((2, batch, *size), dtype=torch.uint8, device=device)
            self._pool = Targets(masks[0], masks[1], torch.zeros((batch, self.count, *size), device=device))
            self._drawn = torch.full((batch, self.count, 2), _OFF_THE_IMAGE, device=device)
        return Targets(*(part[:batch] for part in self._pool))

    def decode(self, logits: torch.Tensor, size: tuple[int, int]) -> Decoded:
        logits = logits.float().contiguous()
        heatmaps = torch.exp(logits - logits.amax(dim=(2, 3), keepdim=True))
        landmarks = decode_heatmaps(heatmaps.cpu().numpy(), method=self.method, window=2 * self.sigma)[0]
        landmarks = resize_points(landmarks, (logits.shape[2], logits.shape[3]), size)
        masks = fill_polygons(self.join(landmarks), size)
        probabilities = _resize(heatmaps.amax(dim=1, keepdim=True), size)[:, 0].cpu().numpy()
        return Decoded(masks, probabilities, landmarks)

    def join(self, landmarks: np.ndarray) -> np.ndarray:
        """(..., K, 2) landmarks → (..., P, 2) outlines, as ``decode`` fills them."""
        return join_landmarks(landmarks, scheme=self.scheme, outline=self.outline)

    def landmarks(self, store: Store) -> np.ndarray | None:
        if self.scheme == "anatomical" and not store.has_chords:
            return None
        return choose_landmarks(store.points, self.count, scheme=self.scheme, offsets=store.offsets)


def scheme_for(store: Store, wish: str | None) -> str:
    """The scheme to train with: ``wish``, else ``anatomical`` where there are chords, and ``arc`` for point lists.

    Raises:
        DataError: ``anatomical`` for tracings without chords.
    """
    if wish == "anatomical" and not store.has_chords:
        raise DataError(f"{store.path}: holds no chords in their own order, which 'anatomical' needs; take 'arc'")
    return wish or ("anatomical" if store.has_chords else "arc")


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
