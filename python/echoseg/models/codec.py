"""Codecs: each approach encodes contours as targets, and decodes logits to probabilities and landmarks.

A run saves the configuration of its codec, so that a prediction decodes the output as the training encoded the targets.
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
from echoseg.models.regions import plain_regions
from echoseg.ops import Targets, build_info, decode_heatmaps, fill_polygons, render_heatmaps, render_targets

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the structure."""
MASK_HANDLES = 16
"""Number of handles on the contour of a mask, which has no landmarks; see `echoseg.review.handles`."""
_OUTSIDE = -1e6  # pixels: a landmark there gives a heatmap of zeros


class Decoded(NamedTuple):
    """A decoded batch of logits, at the network's size.

    Attributes:
        probabilities: (N, h, w) float32, on the device of the logits. Mask approach: the probability that the pixel
            belongs to the structure. Landmark approach: the maximum over the K heatmaps, each scaled to a maximum of 1.
        landmarks: (N, K, 2) float32, pixels of the network's frames, on `drawing_device`; None in the mask approach.
    """

    probabilities: torch.Tensor
    landmarks: torch.Tensor | None


class Codec(Protocol):
    """The interface of an approach to the rest of the package."""

    @property
    def channels(self) -> int:
        """Number of output channels of the network."""

    @property
    def choose_before(self) -> bool:
        """Whether landmarks are chosen before the augmentation and passed to `encode`."""

    @property
    def scheme(self) -> str:
        """The scheme by which handles are placed on the contour; see `echoseg.geometry.landmarks`."""

    @property
    def outline(self) -> str:
        """The curve through the handles; see `echoseg.geometry.spline`."""

    @property
    def handles(self) -> int:
        """Number of handles: the points of a contour that a person can drag."""

    @property
    def method(self) -> str | None:
        """The decoding method of `echoseg.ops.decode_heatmaps`; None in the mask approach."""

    @property
    def window(self) -> float:
        """Half the side of the window around the maximum of a heatmap that is used for decoding, pixels."""

    def encode(
        self,
        contours: np.ndarray | torch.Tensor,
        size: tuple[int, int],
        device: torch.device,
        landmarks: np.ndarray | torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Draw the targets of a batch.

        Args:
            contours: (N, P, 2) float32, pixels. Tensors on `drawing_device` are drawn without waiting for a GPU.
            size: (H, W) of the targets.
            device: The device of the targets.
            landmarks: (N, K, 2) float32, pixels, likewise; None chooses them on the contours.

        Returns:
            The targets, (N, channels, H, W) float32, which the next call overwrites; and the landmarks,
            (N, K, 2) float32, pixels, or None in the mask approach.
        """

    def choose(self, contours: np.ndarray) -> np.ndarray | None:
        """Choose landmarks on contours, (N, P, 2) float32, pixels: (N, K, 2) float32, or None in the mask approach."""

    def decode(self, logits: torch.Tensor) -> Decoded:
        """Decode logits, (N, channels, h, w) float, to probabilities and landmarks."""

    def contours(self, probabilities: np.ndarray, landmarks: np.ndarray | None) -> tuple[list[np.ndarray], np.ndarray]:
        """Compute the contour of each frame.

        Args:
            probabilities: (T, H, W) float32, at the size of the frames.
            landmarks: (T, K, 2) float32, pixels of the frames; None in the mask approach.

        Returns:
            T contours, (P, 2) float32, pixels, or (0, 2) for a frame without a contour; and the number of connected
            components in each frame, (T,) int64. In the mask approach the contour is that of the largest component,
            without its holes.
        """

    def join(self, points: np.ndarray) -> np.ndarray:
        """Connect handles, (..., K, 2) float, pixels, to closed contours, (..., P, 2) float32, pixels."""

    def axes(self, landmarks: np.ndarray) -> np.ndarray | None:
        """(T, 2, 2) float64, pixels: The apex and the middle of the base; None if the landmarks do not include them."""

    def landmarks(self, store: Store) -> np.ndarray | None:
        """The true landmarks of the images in a store.

        Args:
            store: A store with N images.

        Returns:
            (N, K, 2) float32, pixels. None in the mask approach, and if the tracings in the store do not define the
            landmarks of this scheme.
        """


@dataclass
class MaskCodec:
    """The mask approach: one channel, the probability that a pixel belongs to the structure."""

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
        self,
        contours: np.ndarray | torch.Tensor,
        size: tuple[int, int],
        device: torch.device,
        landmarks: np.ndarray | torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, None]:
        points = torch.as_tensor(contours, device=drawing_device(device))
        if not _fits(self._masks, len(contours), size, points.device):
            self._masks = points.new_zeros((len(contours), *size), dtype=torch.uint8)
        assert self._masks is not None
        masks = fill_polygons(points, size, out=self._masks[: len(contours)])
        return masks[:, None].to(device, torch.float32), None

    def choose(self, contours: np.ndarray) -> None:
        return None

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
    """The landmark approach: K channels, one heatmap per landmark.

    A heatmap is zero outside a disc around its landmark and, as in Rodríguez Valencia et al., outside the border band.

    Attributes:
        count: The number of landmarks, K.
        scheme: The scheme by which landmarks are chosen; see `echoseg.geometry.landmarks`.
        outline: The curve through the landmarks; see `echoseg.geometry.spline`.
        heatmap: The kind of heatmap; see `echoseg.ops.render_heatmaps`.
        sigma: Standard deviation of the Gaussian, pixels.
        radius: Radius of the disc ("pixel expansion"), pixels.
        kernel_size: Kernel size of the border band; see `echoseg.ops.border_band`.
        iterations: Iterations of the border band; 0 for no band.
        method: The decoding method of `echoseg.ops.decode_heatmaps`. The window of "soft_argmax" is two sigmas.
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
        self._buffers: Targets | None = None
        self._drawn_landmarks = torch.empty(0)  # the landmarks of the heatmaps in the buffers

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
        contours: np.ndarray | torch.Tensor,
        size: tuple[int, int],
        device: torch.device,
        landmarks: np.ndarray | torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if landmarks is None:
            landmarks = self.choose(np.asarray(contours))
        points = torch.as_tensor(landmarks, device=drawing_device(device))
        targets = self._reserve(len(contours), size, points.device)
        previous = self._drawn_landmarks[: len(contours)]
        options: dict[str, Any] = {
            "kind": self.heatmap,
            "sigma": self.sigma,
            "radius": self.radius,
            "previous": previous,
        }
        if self.iterations:
            polygons = torch.as_tensor(contours, device=points.device)
            options |= {"kernel_size": self.kernel_size, "iterations": self.iterations}
            render_targets(polygons, points, size, **options, out=targets)
        else:
            render_heatmaps(points, size, **options, out=targets.heatmaps)
        previous.copy_(points)
        return targets.heatmaps.to(device), points.to(device)

    def choose(self, contours: np.ndarray) -> np.ndarray:
        return choose_landmarks(contours, self.count, scheme=self.scheme)

    def _reserve(self, batch: int, size: tuple[int, int], device: torch.device) -> Targets:
        """Buffers for the targets of a batch; those of the previous batch if they are large enough."""
        if self._buffers is None or not _fits(self._buffers.mask, batch, size, device):
            masks = torch.zeros((2, batch, *size), dtype=torch.uint8, device=device)
            heatmaps = torch.zeros((batch, self.count, *size), dtype=torch.float32, device=device)
            self._buffers = Targets(masks[0], masks[1], heatmaps)
            self._drawn_landmarks = torch.full((batch, self.count, 2), _OUTSIDE, dtype=torch.float32, device=device)
        return Targets(*(buffer[:batch] for buffer in self._buffers))

    def decode(self, logits: torch.Tensor) -> Decoded:
        logits = logits.float().contiguous()
        heatmaps = torch.exp(logits - logits.amax(dim=(2, 3), keepdim=True))
        there = heatmaps.to(drawing_device(heatmaps.device))
        landmarks = decode_heatmaps(there, method=self.method, window=self.window)[0]
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


def scheme_for(store: Store, requested: str | None) -> str:
    """Choose the landmark scheme for a training.

    Args:
        store: The store to train on.
        requested: The scheme in the settings; None takes "anatomical" for chords and "arc" for lists of points.

    Returns:
        The name of the scheme.

    Raises:
        DataError: "anatomical" is requested for tracings without chords.
    """
    if requested == "anatomical" and not store.has_chords:
        raise DataError(f"{store.source}: scheme 'anatomical' needs tracings of ordered chords; use scheme 'arc'")
    return requested or ("anatomical" if store.has_chords else "arc")


@functools.cache  # querying the devices takes longer than drawing a batch
def drawing_device(device: torch.device) -> torch.device:
    """The device on which targets are drawn: a CUDA device if this build has kernels for it, else the CPU."""
    has_kernels = device.type == "cuda" and build_info()["cuda_devices"]
    return device if has_kernels else torch.device("cpu")


def _fits(buffer: torch.Tensor | None, batch: int, size: tuple[int, int], device: torch.device) -> bool:
    """Whether a buffer can be reused for a batch. The first access to new memory takes longer than drawing."""
    return (
        buffer is not None
        and len(buffer) >= batch
        and tuple(buffer.shape[1:]) == tuple(size)
        and buffer.device == device
    )


def threshold_contours(probabilities: np.ndarray, threshold: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Compute the contour of each frame as a level set of its probabilities.

    Args:
        probabilities: (T, H, W) float.
        threshold: The level.

    Returns:
        T contours, (P, 2) float32, pixels; and the number of connected components above the threshold in each frame,
        (T,) int64. See `echoseg.geometry.level_set.level_set_contour`.
    """
    results = [level_set_contour(plane, threshold) for plane in probabilities]
    return [contour for contour, _ in results], np.array([pieces for _, pieces in results], dtype=np.int64)


def fill_contours(contours: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Fill contours by the rule "center".

    Args:
        contours: T contours, (P, 2) float32, pixels; (0, 2) for an empty mask.
        size: (H, W) of the masks.

    Returns:
        (T, H, W) uint8, 0 or 1.
    """
    masks = np.zeros((len(contours), *size), dtype=np.uint8)
    nonempty = [frame for frame, contour in enumerate(contours) if len(contour)]
    if nonempty:
        offsets = np.cumsum([0, *(len(contours[frame]) for frame in nonempty)], dtype=np.int64)
        points = np.concatenate([contours[frame] for frame in nonempty])
        masks[nonempty] = fill_polygons(points, size, offsets=offsets)
    return masks


def decode_masks(codec: Codec, logits: torch.Tensor) -> torch.Tensor:
    """Compute the masks of a batch at the network's size, as a predictor does.

    On a GPU, neither heatmaps nor probabilities travel to the CPU, except those of frames in which a mask has several
    components or holes.

    Args:
        codec: The codec of the run.
        logits: (N, channels, h, w) float.

    Returns:
        (N, h, w) uint8, 0 or 1, on `drawing_device`.
    """
    probabilities, landmarks = codec.decode(logits)
    size = (probabilities.shape[1], probabilities.shape[2])
    if landmarks is not None:
        contours = torch.from_numpy(codec.join(landmarks.cpu().numpy()))
        return fill_polygons(contours.to(landmarks.device), size)
    on_cpu = drawing_device(probabilities.device).type == "cpu"
    return _masks_of_contours(codec, probabilities) if on_cpu else _masks_without_contours(codec, probabilities)


def _masks_without_contours(codec: Codec, probabilities: torch.Tensor) -> torch.Tensor:
    masks, plain = plain_regions(probabilities, THRESHOLD)
    others = torch.nonzero(~plain)[:, 0]
    if len(others):
        masks[others] = _masks_of_contours(codec, probabilities[others]).to(masks.device)
    return masks


def _masks_of_contours(codec: Codec, probabilities: torch.Tensor) -> torch.Tensor:
    planes = probabilities.cpu().numpy()
    return torch.from_numpy(fill_contours(codec.contours(planes, None)[0], planes.shape[1:]))


def resize_planes(planes: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize planes, (N, h, w) float, to (N, H, W) by bilinear interpolation."""
    if tuple(planes.shape[1:]) == tuple(size):
        return planes
    return F.interpolate(planes[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
