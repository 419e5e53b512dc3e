"""A trained run as a function: frames in, contours and what follows from them out, with how far to trust them."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area
from echoseg.geometry.crop import Box, Crop, fov_box, paste
from echoseg.geometry.level_set import NO_CONTOUR
from echoseg.geometry.shape import ShapeModel, load_shapes
from echoseg.io.clip import Clip
from echoseg.io.reading import read_clip
from echoseg.io.sector import crop_to_sector
from echoseg.metrics.calibration import Calibration, load_calibration
from echoseg.metrics.intervals import NORMAL_95
from echoseg.models.codec import Codec, fill_contours, resize_planes
from echoseg.models.normalize import NetworkFactory
from echoseg.models.uncertainty import heatmap_moments
from echoseg.models.unet import UNet
from echoseg.training.checkpoint import load_run
from echoseg.training.config import Config
from echoseg.training.devices import choose_device

CALIBRATION, SHAPES = "calibration.json", "shape.json"
WIDE_INTERVAL = 0.6
"""Share of the area: a frame whose 95 % interval is wider is marked for review."""
_REACH = 8  # σ of the targets: how far around a landmark the heatmap's moments are taken


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a predictor says about T frames of (H, W) pixels. All coordinates are in pixels of these frames.

    The contour is what is predicted; masks and areas are computed from it, as are volumes, films and exports.

    Attributes:
        contours: T closed contours, (P, 2) float32; (0, 2) where no ventricle is found. Landmark approach: the spline
            through the landmarks. Mask approach: the level set of the probabilities at 0.5, of the largest piece,
            without its holes; other pieces count for nothing.
        pieces: (T,) int64: how many pieces the probabilities have above the threshold; 1 in the landmark approach.
        probabilities: (T, H, W) float32; see `echoseg.models.codec.Decoded`.
        landmarks: (T, K, 2) float32; nan in frames that post-processing has emptied. None in the mask approach, and
            where post-processing has changed the contour so that the landmarks no longer lie on it.
        axes: (T, 2, 2) float64: apex and middle of the base, where the landmarks mark them; None otherwise.
        covariances: (T, K, 2, 2) float64, square pixels, of the landmarks' errors. None in the mask approach, for runs
            without calibration, and after post-processing that changes the landmarks; so are the next two.
        area_std: (T,) float64, pixels: standard deviation of the areas' errors.
        review: (T,) bool: whether a person should look at the frame. The 95 % interval of the area is wider than 60 %
            of it, or the contour has an implausible shape, or post-processing has emptied the frame.
    """

    contours: list[np.ndarray]
    pieces: np.ndarray
    probabilities: np.ndarray
    landmarks: np.ndarray | None = None
    axes: np.ndarray | None = None
    covariances: np.ndarray | None = None
    area_std: np.ndarray | None = None
    review: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.contours)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.probabilities.shape[1], self.probabilities.shape[2]

    @functools.cached_property
    def masks(self) -> np.ndarray:
        """(T, H, W) uint8, 0 or 1: the contours filled by the rule "center"."""
        return fill_contours(self.contours, self.size)

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """(T,) int64: pixels of the masks."""
        return self.masks.sum(axis=(1, 2), dtype=np.int64)

    @property
    def area_intervals(self) -> np.ndarray | None:
        """(T, 2) float64, pixels: the lower and upper end of the areas' 95 % intervals; None if they are unknown."""
        if self.area_std is None:
            return None
        return (self.areas[:, None] + NORMAL_95 * np.array([-1, 1]) * self.area_std[:, None]).clip(min=0)

    def with_contours(self, contours: list[np.ndarray]) -> Prediction:
        """Replace the contours by others that the landmarks do not lie on; what is then unknown becomes None."""
        return Prediction(contours, self.pieces, self.probabilities)

    def emptied(self, frames: np.ndarray) -> Prediction:
        """Remove the ventricle from frames, and mark them for review if frames can be marked.

        Args:
            frames: (T,) bool.
        """
        changes: dict[str, Any] = {
            "contours": [NO_CONTOUR if empty else one for empty, one in zip(frames, self.contours, strict=True)],
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
        """The prediction of some of the frames, in the order given."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        taken = {name: value[frames] for name, value in values.items() if isinstance(value, np.ndarray)}
        return dataclasses.replace(self, contours=[self.contours[frame] for frame in frames], **taken)

    @classmethod
    def join(cls, parts: Sequence[Prediction]) -> Prediction:
        """One prediction of the frames of several, which are of one size and one run."""
        joined: dict[str, Any] = {"contours": [contour for part in parts for contour in part.contours]}
        for name in (one.name for one in fields(cls) if one.name != "contours"):
            values = [getattr(part, name) for part in parts]
            joined[name] = None if values[0] is None else np.concatenate(values)
        return cls(**joined)


class Predictor:
    """Applies the network of a run to files, clips and frames of any size.

    Attributes:
        config: The run's configuration.
        codec: The run's codec.
        calibration: Of the run's landmarks; None in the mask approach, or if there was nothing to calibrate on.
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
        regularize: bool = False,
    ) -> None:
        self.config, self.codec, self.calibration = config, codec, calibration
        self._model = model.to(device).eval()
        self._device, self._shapes, self._regularize = device, shapes, regularize

    def __call__(self, source: str | os.PathLike[str] | Clip | np.ndarray, *, crop_sector: bool = False) -> Prediction:
        """Segment every frame of a file, of a clip, or of an array.

        A clip, and so a file, is cropped as in training: to the sector if the file is an ultrasound DICOM, and to the
        run's field of view if it has one and the spacing is known. An array is taken whole.

        Args:
            source: Path of a video, DICOM file, volume or image; or a clip; or (T, H, W) uint8 frames, grey, where T
                may be 0.
            crop_sector: Whether to find the ultrasound sector in bare frames and to crop to it, as is done for DICOM
                files.

        Returns:
            The prediction, in pixels of the whole frames.

        Raises:
            DataError: The file is missing, damaged or of an unknown kind.
            ValueError: Frames of another shape or dtype, or `crop_sector` for a file or clip.
        """
        if isinstance(source, np.ndarray):
            if source.ndim != 3 or source.dtype != np.uint8 or 0 in source.shape[1:]:
                raise ValueError(f"expected (T, H, W) uint8 frames, got {source.shape} {source.dtype}")
            clip = Clip(source, math.nan, (math.nan, math.nan), math.nan)
            if crop_sector:
                clip = crop_to_sector(clip)
        elif crop_sector:
            raise ValueError("crop_sector is for bare frames; files and clips say themselves where the sector is")
        else:
            clip = source if isinstance(source, Clip) else read_clip(source)
        size = clip.frames.shape[1], clip.frames.shape[2]
        part = Box(*clip.square, clip.square[2]) if clip.square else Box(0, 0, *size)
        return self._segment(clip.frames, Crop(fov_box(part, clip.spacing, self.config.fov_mm), self.config.size))

    def _segment(self, frames: np.ndarray, crop: Crop) -> Prediction:
        size = frames.shape[1], frames.shape[2]
        probabilities, landmarks, moments = self._decode(crop.frames(frames), crop)
        probabilities = paste(probabilities, crop.box, size)
        if landmarks is None:
            return Prediction(*self.codec.contours(probabilities, None), probabilities)
        implausible = np.zeros(len(frames), dtype=bool)
        if self._shapes is not None:
            implausible = self._shapes.distances(landmarks) > self._shapes.limit
            if self._regularize:
                landmarks[implausible] = self._shapes.regularize(landmarks[implausible])
        in_frame = crop.points_in_frame(landmarks)
        contours, pieces = self.codec.contours(probabilities, in_frame)
        prediction = Prediction(contours, pieces, probabilities, in_frame, self.codec.axes(in_frame))
        if self.calibration is None or moments is None:
            return prediction
        covariances = self.calibration.covariances(moments)
        area_std = self.calibration.deviations(
            lambda moved: contour_area(self.codec.join(moved)), landmarks, covariances
        ) / math.prod(crop.scale)
        return dataclasses.replace(
            prediction,
            covariances=covariances / np.outer(crop.scale, crop.scale),
            area_std=area_std,
            review=implausible | (2 * NORMAL_95 * area_std > WIDE_INTERVAL * prediction.areas),
        )

    @torch.inference_mode()
    def _decode(self, frames: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Probabilities at the size of the crop's box; landmarks and moments of the heatmaps at the network's size."""
        probabilities, landmarks, moments = [], [], []
        for start in range(0, max(1, len(frames)), self.config.batch_size):
            batch = np.require(frames[start : start + self.config.batch_size], requirements=["C", "W"])
            logits = self._model(torch.from_numpy(batch).to(self._device))
            decoded = self.codec.decode(logits)
            probabilities.append(resize_planes(decoded.probabilities, crop.box[2:]).cpu().numpy())
            if decoded.landmarks is not None:
                landmarks.append(decoded.landmarks)
                if self.calibration is not None:
                    places = torch.from_numpy(decoded.landmarks).to(self._device)
                    reach = _REACH * self.config.sigma
                    moments.append(heatmap_moments(logits.float(), places, reach=reach).cpu().numpy())
        joined = (np.concatenate(parts) if parts else None for parts in (probabilities, landmarks, moments))
        return tuple(joined)  # type: ignore[return-value]

    @torch.inference_mode()
    def attention(self, frames: np.ndarray) -> list[np.ndarray]:
        """What the attention gates let through.

        Args:
            frames: (T, H, W) uint8, of the network's size.

        Returns:
            One array (T, h, w) float32 in [0, 1] a gate, from the deepest level to the shallowest.
        """
        assert isinstance(self._model, UNet)
        maps = self._model.forward_with_attention(torch.from_numpy(frames).to(self._device))[1]
        return [found[:, 0].float().cpu().numpy() for found in maps]


def load(
    run: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    regularize: bool = True,
    network: NetworkFactory | None = None,
) -> Predictor:
    """Load the best weights of a run.

    Args:
        run: A run, or the folder of one. None stands for weights that ship with the package; this version has none.
        device: "auto", "cpu", "cuda" or "cuda:N".
        regularize: Whether to change contours of an implausible shape to the nearest plausible one; see
            `echoseg.geometry.shape`. `Prediction.review` marks them in either case.
        network: The function that made the network, where `echoseg.train` was given one.

    Raises:
        DataError: `run` is None or not a run, a file is damaged, `network` is missing or makes another network, or
            there is no such device.
    """
    if run is None:
        raise DataError("no weights ship with this version; give a run folder, as 'echoseg train' writes it")
    run = Path(run)
    config, model, codec = load_run(run, network)
    calibration = load_calibration(run / CALIBRATION) if (run / CALIBRATION).exists() else None
    shapes = load_shapes(run / SHAPES) if (run / SHAPES).exists() else None
    return Predictor(
        config, model, codec, choose_device(device), calibration=calibration, shapes=shapes, regularize=regularize
    )
