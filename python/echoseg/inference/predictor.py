"""The predictor of a trained run: from frames to contours, areas and landmarks with their uncertainty."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from echoseg.geometry.contour import contour_area
from echoseg.geometry.crop import Box, Crop, fov_box, paste
from echoseg.geometry.level_set import NO_CONTOUR
from echoseg.geometry.shape import ShapeModel, load_shapes
from echoseg.inference.temporal import smooth_contours, smooth_tracks
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.io.sector import crop_to_sector
from echoseg.metrics.calibration import Calibration, load_calibration
from echoseg.metrics.conformal import EFIntervals, load_ef_intervals
from echoseg.metrics.image_domain import ImageDomain, load_image_domain
from echoseg.metrics.intervals import NORMAL_95
from echoseg.models.codec import Codec, fill_contours, resize_planes
from echoseg.models.ensemble import Ensemble
from echoseg.models.normalize import NetworkFactory
from echoseg.models.uncertainty import heatmap_moments
from echoseg.models.unet import UNet
from echoseg.models.weights import weights_folder
from echoseg.training.checkpoint import load_run, network_name
from echoseg.training.config import Config
from echoseg.training.devices import autocast, choose_device, place, prediction_batch

_Loaded = TypeVar("_Loaded")
CALIBRATION, SHAPES = "calibration.json", "shape.json"
EF_INTERVALS, IMAGE_DOMAIN = "ef_intervals.json", "image_domain.json"
OPTIONAL_FILES = (CALIBRATION, SHAPES, EF_INTERVALS, IMAGE_DOMAIN)
"""What `load` reads from a run folder beside the settings and the weights, where it is there."""
WIDE_INTERVAL = 0.6
"""A frame is marked for review if the 95 % interval of its area is wider than this share of the area."""
OUTLIER_DISTANCE = 8.0
"""A frame of a cine is marked for review if the network places a landmark this far from its track over time: the
Mahalanobis distance, where 1 is the usual error."""
_MOMENT_REACH = 8  # in σ of the targets: half the side of the square in which the moments of a heatmap are computed


@dataclass(frozen=True, eq=False)
class Prediction:
    """The prediction for T frames of (H, W) pixels. All coordinates are in pixels of these frames.

    The network predicts one contour per frame. Masks and areas are computed from the contours, and so are volumes,
    films and exports.

    Attributes:
        contours: T closed contours, (P, 2) float32, pixels; (0, 2) in frames without a contour. Landmark approach:
            the spline through the landmarks. Mask approach: the level set of the probabilities at 0.5 around the
            largest connected component, without holes; other components are ignored.
        pieces: (T,) int64: The number of connected components above the threshold; 1 in the landmark approach.
        probabilities: (T, H, W) float32; see `echoseg.models.codec.Decoded`.
        landmarks: (T, K, 2) float32, pixels; nan in frames that post-processing has emptied. None in the mask approach,
            and if post-processing has changed the contours so that the landmarks no longer lie on them.
        axes: (T, 2, 2) float64, pixels: The apex and the middle of the base; None if the landmarks do not include them.
        covariances: (T, K, 2, 2) float64, square pixels: Covariances of the landmark errors. None in the mask approach,
            for runs without calibration, and if post-processing has changed the landmarks; likewise `area_std` and
            `review`.
        area_std: (T,) float64, pixels: The standard deviations of the area errors.
        review: (T,) bool: Whether the frame is marked for review by a person. It is marked if the 95 % interval of the
            area is wider than 60 % of the area, if the shape of the contour is implausible, if smoothing has moved a
            landmark far in comparison with the other frames, or if post-processing has emptied the frame.
        image_distances: (T,) float64: How far each frame lies from the training images, as a multiple of the limit; see
            `echoseg.metrics.image_domain`. None for runs of earlier versions.
        ef_intervals: The intervals of ejection fractions that are computed from these contours, which `measure` uses;
            None for runs with too few validation images. They hold for contours without post-processing.
        smoothed: Whether the contours are smoothed over time.
    """

    contours: list[np.ndarray]
    pieces: np.ndarray
    probabilities: np.ndarray
    landmarks: np.ndarray | None = None
    axes: np.ndarray | None = None
    covariances: np.ndarray | None = None
    area_std: np.ndarray | None = None
    review: np.ndarray | None = None
    image_distances: np.ndarray | None = None
    ef_intervals: EFIntervals | None = None
    smoothed: bool = False

    def __len__(self) -> int:
        return len(self.contours)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.probabilities.shape[1], self.probabilities.shape[2]

    @functools.cached_property
    def masks(self) -> np.ndarray:
        """(T, H, W) uint8, 0 or 1: The contours, filled by the rule "center"."""
        return fill_contours(self.contours, self.size)

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """(T,) int64: The number of pixels in each mask."""
        return self.masks.sum(axis=(1, 2), dtype=np.int64)

    @property
    def confidence(self) -> np.ndarray:
        """(T, 2) float32: The mean and the largest probability of each frame."""
        return np.stack([self.probabilities.mean(axis=(1, 2)), self.probabilities.max(axis=(1, 2))], axis=1)

    @property
    def area_intervals(self) -> np.ndarray | None:
        """(T, 2) float64, pixels: The bounds of the 95 % intervals of the areas; None if they are unknown."""
        if self.area_std is None:
            return None
        return (self.areas[:, None] + NORMAL_95 * np.array([-1, 1]) * self.area_std[:, None]).clip(min=0)

    def with_contours(self, contours: list[np.ndarray]) -> Prediction:
        """A copy with other contours. Landmarks and all values of frames that depend on them become None.

        Args:
            contours: T closed contours, (P, 2) float32, pixels; (0, 2) in frames without a contour.
        """
        return Prediction(
            contours,
            self.pieces,
            self.probabilities,
            image_distances=self.image_distances,
            ef_intervals=self.ef_intervals,
        )

    def emptied(self, frames: np.ndarray) -> Prediction:
        """A copy without a contour in some frames, which are marked for review if `review` is not None.

        Args:
            frames: (T,) bool, the frames to empty.
        """
        changes: dict[str, Any] = {
            "contours": [
                NO_CONTOUR if empty else contour for empty, contour in zip(frames, self.contours, strict=True)
            ],
            "pieces": np.where(frames, 0, self.pieces),
            "probabilities": np.where(frames[:, None, None], np.float32(0), self.probabilities),
        }
        for name in ("landmarks", "axes", "covariances", "area_std"):
            values = getattr(self, name)
            if values is not None:
                changes[name] = values.copy()
                changes[name][frames] = np.nan
        if self.review is not None:
            changes["review"] = self.review | frames
        return dataclasses.replace(self, **changes)

    def take(self, frames: Sequence[int] | np.ndarray) -> Prediction:
        """The prediction for some of the frames.

        Args:
            frames: The indices of the frames, in the order of the result.
        """
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        selected: dict[str, Any] = {name: value[frames] for name, value in values if isinstance(value, np.ndarray)}
        return dataclasses.replace(self, contours=[self.contours[frame] for frame in frames], **selected)

    @classmethod
    def join(cls, parts: Sequence[Prediction]) -> Prediction:
        """Concatenate predictions along the frames.

        Args:
            parts: Predictions of one run, for frames of the same size.
        """
        joined: dict[str, Any] = {"contours": [contour for part in parts for contour in part.contours]}
        for name in (field.name for field in fields(cls) if field.name != "contours"):
            values = [getattr(part, name) for part in parts]
            joined[name] = np.concatenate(values) if isinstance(values[0], np.ndarray) else values[0]
        return cls(**joined)


class Predictor:
    """Applies the network of a run to files, clips and frames of any size.

    Attributes:
        config: The configuration of the run.
        codec: The codec of the run.
        calibration: The calibration of the landmark errors; None in the mask approach, and for a run without
            validation images.
    """

    def __init__(
        self,
        config: Config,
        model: nn.Module,
        codec: Codec,
        device: torch.device,
        *,
        calibration: Calibration | None = None,
        shapes: ShapeModel | None = None,
        image_domain: ImageDomain | None = None,
        ef_intervals: EFIntervals | None = None,
        smooth: bool = False,
    ) -> None:
        self.config, self.codec, self.calibration = config, codec, calibration
        self._image_domain, self._ef_intervals = image_domain, ef_intervals
        self._model = place(model, device).eval()
        self._device, self._shapes, self._smooth = device, shapes, smooth

    def __call__(self, source: str | os.PathLike[str] | Clip | np.ndarray, *, crop_sector: bool = False) -> Prediction:
        """Segment every frame of a file, a clip, or an array.

        Files and clips are cropped as in training: to the sector if the file is an ultrasound DICOM file, and to the
        field of view of the run if it has one and the spacing is known. Arrays are not cropped. The contours of a cine
        are smoothed over time, unless the predictor was loaded with ``smooth=False``; the frames of an array need not
        be consecutive, and are not smoothed.

        Args:
            source: The path of a video, DICOM file, volume or image; a clip; or an array of greyscale frames,
                (T, H, W) uint8, where T may be 0.
            crop_sector: Whether to detect the ultrasound sector in an array of frames and to crop to it, as for DICOM
                files.

        Returns:
            The prediction, in pixels of the uncropped frames.

        Raises:
            DataError: The file is missing or damaged, or its format is unknown.
            TypeError: The source is something else, such as a tensor of torch.
            ValueError: An array has another shape or dtype, or `crop_sector` is set for a file or a clip.
        """
        if isinstance(source, np.ndarray):
            if source.ndim != 3 or source.dtype != np.uint8 or 0 in source.shape[1:]:
                raise ValueError(f"expected (T, H, W) uint8 frames, got {source.shape} {source.dtype}")
            clip = Clip(source, math.nan, (math.nan, math.nan), math.nan)
            if crop_sector:
                clip = crop_to_sector(clip)
        elif not isinstance(source, Clip | str | os.PathLike):
            raise TypeError(
                "expected a path, a clip, or (T, H, W) uint8 frames as a NumPy array, not of the type "
                f"{type(source).__name__}"
            )
        elif crop_sector:
            raise ValueError("crop_sector is for arrays of frames only; files and clips define their sector themselves")
        else:
            clip = source if isinstance(source, Clip) else read_clip(source)
        size = clip.frames.shape[1], clip.frames.shape[2]
        region = Box(*clip.square, clip.square[2]) if clip.square else Box(0, 0, *size)
        crop = Crop(fov_box(region, clip.spacing, self.config.fov_mm), self.config.size)
        is_cine = not isinstance(source, np.ndarray) and math.isnan(clip.thickness)
        return self.segment_cropped(crop.frames(clip.frames), crop, size, smooth=self._smooth and is_cine)

    def segment_cropped(
        self, cropped: np.ndarray, crop: Crop, size: tuple[int, int], *, smooth: bool = False
    ) -> Prediction:
        """Segment frames that are cropped already, such as those of a store.

        Args:
            cropped: (T, H, W) uint8, of the network's size.
            crop: The crop that they were made with.
            size: (H, W) of the uncropped frames.
            smooth: Whether to smooth the contours over time.

        Returns:
            The prediction, in pixels of the uncropped frames.
        """
        probabilities, landmarks, moments = self._decode(cropped, crop)
        probabilities = paste(probabilities, crop.box, size)
        shared: dict[str, Any] = {"ef_intervals": self._ef_intervals, "smoothed": smooth}
        if self._image_domain is not None:
            shared["image_distances"] = self._image_domain.distances(cropped)
        if landmarks is None:
            contours, pieces = self.codec.contours(probabilities, None)
            return Prediction(smooth_contours(contours) if smooth else contours, pieces, probabilities, **shared)
        covariances = None if moments is None or self.calibration is None else self.calibration.covariances(moments)
        implausible = np.zeros(len(cropped), dtype=bool)
        if smooth:
            tracks = smooth_tracks(landmarks, covariances)
            landmarks = tracks.points.astype(np.float32)
            implausible |= (tracks.distances > OUTLIER_DISTANCE).any(axis=1)
        if self._shapes is not None:
            implausible |= self._shapes.distances(landmarks) > self._shapes.limit
        in_frame = crop.points_in_frame(landmarks)
        contours, pieces = self.codec.contours(probabilities, in_frame)
        prediction = Prediction(contours, pieces, probabilities, in_frame, self.codec.axes(in_frame), **shared)
        if self.calibration is None or covariances is None:
            return prediction
        area_std = self.calibration.deviations(
            lambda perturbed: contour_area(self.codec.join(perturbed)), landmarks, covariances
        ) / math.prod(crop.scale)
        return dataclasses.replace(
            prediction,
            covariances=covariances / np.outer(crop.scale, crop.scale),
            area_std=area_std,
            review=implausible | (2 * NORMAL_95 * area_std > WIDE_INTERVAL * prediction.areas),
        )

    @torch.inference_mode()
    def _decode(self, frames: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Apply the network to cropped frames.

        Args:
            frames: (T, H, W) uint8, of the network's size.
            crop: The crop that the frames are made with.

        Returns:
            The probabilities, (T, h, w) float32, at the size of the crop's box. The landmarks, (T, K, 2) float32, in
            pixels of the network's frames; None in the mask approach. The second moments of the heatmaps,
            (T, K, 2, 2) float32; None in the mask approach and without a calibration.
        """
        probabilities, landmarks, moments = [], [], []
        size = prediction_batch(self.config, self._device)
        with autocast(self._device, "float32"):
            for start in range(0, max(1, len(frames)), size):
                batch = np.require(frames[start : start + size], requirements=["C", "W"])
                logits = self._model(torch.from_numpy(batch).to(self._device))
                decoded = self.codec.decode(logits)
                probabilities.append(resize_planes(decoded.probabilities, crop.box[2:]).cpu().numpy())
                if decoded.landmarks is not None:
                    landmarks.append(decoded.landmarks)
                    if self.calibration is not None:
                        centres = decoded.landmarks.to(self._device)
                        reach = _MOMENT_REACH * self.config.sigma
                        moments.append(heatmap_moments(logits.float(), centres, reach=reach))
        points, spreads = (torch.cat(parts).cpu().numpy() if parts else None for parts in (landmarks, moments))
        return np.concatenate(probabilities), points, spreads

    @property
    def has_attention(self) -> bool:
        """Whether the network has attention gates; only U-Nets of echoseg have."""
        return self.config.attention and network_name(self._model) is None

    @torch.inference_mode()
    def attention(self, frames: np.ndarray) -> list[np.ndarray]:
        """Compute the attention coefficients of the network.

        Args:
            frames: (T, H, W) uint8, of the network's size.

        Returns:
            For each attention gate, from the deepest level to the shallowest, an array (T, h, w) float32 in [0, 1].
        """
        assert isinstance(self._model, UNet | Ensemble)
        with autocast(self._device, "float32"):
            coefficients = self._model.forward_with_attention(torch.from_numpy(frames).to(self._device))[1]
        return [level[:, 0].float().cpu().numpy() for level in coefficients]


def load(
    run: str | os.PathLike[str] | None = None,
    *,
    approach: str = "landmark",
    device: str = "auto",
    smooth: bool = True,
    network: NetworkFactory | None = None,
) -> Predictor:
    """Load the best weights of a run, or the network that ships with echoseg.

    Args:
        run: A run, or its folder. None: the network that ships with echoseg, for the left ventricle in apical views.
        approach: "landmark" or "mask", if `run` is None: which of the two networks that ship.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        smooth: Whether to smooth the contours of cines over time; see `echoseg.inference.temporal`.
        network: The function that makes the network, if one was passed to `echoseg.train`.

    Returns:
        The predictor.

    Raises:
        DataError: `run` is not a run, a file is damaged, `network` is missing or makes another network, or the device
            does not exist.
        ValueError: `approach` is unknown.
    """
    run = weights_folder(approach) if run is None else Path(run)
    config, model, codec = load_run(run, network)
    return Predictor(
        config,
        model,
        codec,
        choose_device(device),
        calibration=_load_optional(load_calibration, run / CALIBRATION),
        shapes=_load_optional(load_shapes, run / SHAPES),
        image_domain=_load_optional(load_image_domain, run / IMAGE_DOMAIN),
        ef_intervals=_load_optional(load_ef_intervals, run / EF_INTERVALS),
        smooth=smooth,
    )


def _load_optional(read: Callable[[Path], _Loaded], path: Path) -> _Loaded | None:
    return read(path) if path.exists() else None
