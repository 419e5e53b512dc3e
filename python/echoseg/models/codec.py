"""The two approaches, each as one object: contours → what the loss sees, logits → probabilities and landmarks.

A run saves the configuration of its codec, so prediction cannot decode otherwise than training encoded.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.geometry.discs import landmark_axes
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks
from echoseg.geometry.level_set import level_set_contour
from echoseg.geometry.spline import join_landmarks
from echoseg.ops import Targets, build_info, decode_heatmaps, fill_polygons, render_heatmaps, render_targets

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the ventricle."""
MASK_HANDLES = 16
"""Points on the contour of a mask that a person can drag; a mask has no landmarks."""
_OFF_THE_IMAGE = -1e6  # pixels: a landmark there leaves a plane of zeros


class Decoded(NamedTuple):
    """What a batch of logits says, at the network's size.

    Attributes:
        probabilities: (N, h, w) float32, on the logits' device. Mask approach: that the pixel belongs to the ventricle.
            Landmark approach: the largest of the K heatmaps, each scaled to a maximum of 1; it shows where landmarks
            are seen.
        landmarks: (N, K, 2) float32, pixels of the network's frames; None in the mask approach.
    """

    probabilities: torch.Tensor
    landmarks: np.ndarray | None


class Codec(Protocol):
    """What the rest of the package needs from an approach."""

    @property
    def channels(self) -> int:
        """Planes of the network's output."""

    @property
    def choose_before(self) -> bool:
        """Whether landmarks are chosen before the augmentation, and given to `encode`."""

    @property
    def scheme(self) -> str:
        """How the points that a person can drag lie on the contour; see `echoseg.geometry.landmarks`."""

    @property
    def outline(self) -> str:
        """How these points are joined; see `echoseg.geometry.spline`."""

    @property
    def handles(self) -> int:
        """How many points a person can drag."""

    @property
    def method(self) -> str | None:
        """How heatmaps are decoded, see `echoseg.ops.decode_heatmaps`; None in the mask approach."""

    @property
    def window(self) -> float:
        """How far decoding looks around a heatmap's maximum, pixels."""

    def encode(
        self,
        contours: np.ndarray,
        size: tuple[int, int],
        device: torch.device,
        landmarks: np.ndarray | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Draw the targets of a batch.

        Args:
            contours: (N, P, 2) float32, pixels.
            size: (H, W).
            device: Where the targets go.
            landmarks: (N, K, 2) float32, pixels, where they are chosen already.

        Returns:
            (N, channels, H, W) float32 targets, overwritten by the next call, and the (N, K, 2) float32 landmarks;
            None in the mask approach.
        """

    def decode(self, logits: torch.Tensor) -> Decoded:
        """(N, channels, h, w) logits → probabilities and landmarks."""

    def contours(self, probabilities: np.ndarray, landmarks: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray]:
        """The contour of each frame, and how many pieces the ventricle has in it.

        Args:
            probabilities: (T, H, W) float32, of the frames' size.
            landmarks: (T, K, 2) float32, pixels of the frames; None in the mask approach.

        Returns:
            T arrays (P, 2) float32, pixels, (0, 2) where nothing is found; and (T,) int64. In the mask approach the
            contour is that of the largest piece, without its holes.
        """

    def join(self, points: np.ndarray) -> np.ndarray:
        """(..., K, 2) points that a person can drag → (..., P, 2) float32 closed contours, pixels."""

    def axes(self, landmarks: np.ndarray) -> np.ndarray | None:
        """(T, 2, 2) float64, pixels: apex and middle of the base; None if the landmarks do not mark the annulus."""

    def landmarks(self, store: Store) -> np.ndarray | None:
        """The (N, K, 2) landmarks of a store's images that the network is to find; None in the mask approach, and
        where the store's tracings do not mark them."""


@dataclass
class MaskCodec:
    """One channel: ventricle or not."""

    channels: ClassVar[int] = 1
    choose_before: ClassVar[bool] = False
    scheme: ClassVar[str] = "arc"
    outline: ClassVar[str] = "cubic"
    handles: ClassVar[int] = MASK_HANDLES
    method: ClassVar[None] = None
    window: ClassVar[float] = 0.0

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

    def decode(self, logits: torch.Tensor) -> Decoded:
        return Decoded(logits[:, 0].float().sigmoid(), None)

    def contours(self, probabilities: np.ndarray, landmarks: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray]:
        return threshold_contours(probabilities, THRESHOLD)

    def join(self, points: np.ndarray) -> np.ndarray:
        return join_landmarks(points, scheme=self.scheme, outline=self.outline)

    def axes(self, landmarks: np.ndarray) -> None:
        return None

    def landmarks(self, store: Store) -> None:
        return None


@dataclass
class LandmarkCodec:
    """K channels: a heatmap a landmark, cut to a disc and, as in Rodríguez Valencia et al., to the border band.

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
    def handles(self) -> int:
        return self.count

    @property
    def window(self) -> float:
        return 2 * self.sigma

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
        pool = self._workspace(len(contours), size, where.device)
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

    def _workspace(self, batch: int, size: tuple[int, int], device: torch.device) -> Targets:
        """Memory for a batch, drawn to before if possible."""
        if self._pool is None or not _fits(self._pool.mask, batch, size, device):
            masks = torch.zeros((2, batch, *size), dtype=torch.uint8, device=device)
            self._pool = Targets(masks[0], masks[1], torch.zeros((batch, self.count, *size), device=device))
            self._drawn = torch.full((batch, self.count, 2), _OFF_THE_IMAGE, device=device)
        return Targets(*(part[:batch] for part in self._pool))

    def decode(self, logits: torch.Tensor) -> Decoded:
        logits = logits.float().contiguous()
        heatmaps = torch.exp(logits - logits.amax(dim=(2, 3), keepdim=True))
        landmarks = decode_heatmaps(heatmaps.cpu().numpy(), method=self.method, window=self.window)[0]
        return Decoded(heatmaps.amax(dim=1), landmarks)

    def contours(self, probabilities: np.ndarray, landmarks: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray]:
        assert landmarks is not None
        return list(self.join(landmarks)), np.ones(len(landmarks), dtype=np.int64)

    def join(self, points: np.ndarray) -> np.ndarray:
        return join_landmarks(points, scheme=self.scheme, outline=self.outline)

    def axes(self, landmarks: np.ndarray) -> np.ndarray | None:
        return landmark_axes(landmarks, self.scheme)

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


def threshold_contours(probabilities: np.ndarray, threshold: float) -> tuple[list[np.ndarray], np.ndarray]:
    """The contours of (T, H, W) probabilities at a threshold, and how many pieces each frame has above it; see
    `echoseg.geometry.level_set.level_set_contour`."""
    found = [level_set_contour(plane, threshold) for plane in probabilities]
    return [contour for contour, _ in found], np.array([pieces for _, pieces in found], dtype=np.int64)


def fill_contours(contours: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """(T, H, W) uint8, 0 or 1: T contours (P, 2) float32, pixels, filled by the rule "center"; (0, 2) fills nothing."""
    masks = np.zeros((len(contours), *size), dtype=np.uint8)
    found = [frame for frame, contour in enumerate(contours) if len(contour)]
    if found:
        offsets = np.cumsum([0, *(len(contours[frame]) for frame in found)], dtype=np.int64)
        masks[found] = fill_polygons(np.concatenate([contours[frame] for frame in found]), size, offsets=offsets)
    return masks


def decode_masks(codec: Codec, logits: torch.Tensor) -> np.ndarray:
    """(N, channels, h, w) logits → (N, h, w) uint8 masks, as a predictor computes them at the network's size."""
    decoded = codec.decode(logits)
    probabilities = decoded.probabilities.cpu().numpy()
    return fill_contours(codec.contours(probabilities, decoded.landmarks)[0], probabilities.shape[1:])


def resize_planes(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, h, w) float → (N, H, W), bilinear."""
    if tuple(planes.shape[1:]) == tuple(size):
        return planes
    return F.interpolate(planes[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
