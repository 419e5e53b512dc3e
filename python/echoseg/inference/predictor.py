"""A trained run as a function: frames in, masks and landmarks out, and how far to trust them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from echoseg.geometry.contour import contour_area
from echoseg.geometry.crop import Box, cut, fov_box, paste
from echoseg.geometry.resize import resize_frames, resize_points
from echoseg.geometry.shape import ShapeModel, load_shapes
from echoseg.io.clip import Clip
from echoseg.metrics.calibration import Calibration, load_calibration
from echoseg.models.codec import Codec, Decoded, LandmarkCodec
from echoseg.models.uncertainty import heatmap_moments
from echoseg.models.unet import UNet
from echoseg.ops import fill_polygons
from echoseg.training.checkpoint import load_run
from echoseg.training.config import Config
from echoseg.training.devices import choose_device

CALIBRATION, SHAPES = "calibration.json", "shape.json"
WIDE = 0.6  # of the area: a wider 95 % interval is marked for review
_REACH = 8  # of the targets' σ: moments of heatmaps are taken so far about a landmark
_95 = 1.96  # standard deviations


@dataclass(frozen=True)
class Prediction:
    """What a predictor says of T frames, all at the size of the frames that were put in.

    Attributes:
        masks: (T, H, W) uint8, 0 or 1.
        probabilities: (T, H, W) float32; see ``models.codec.Decoded``.
        landmarks: (T, K, 2) float32, pixels; None in the mask approach.
        areas: (T,) int64, pixels of the mask.
        covariances: (T, K, 2, 2) float64, of the landmarks' errors, square pixels; None in the mask approach, and of
            runs that were not calibrated, as are the next two.
        area_std: (T,) float64, standard deviation of the areas' errors, pixels.
        review: (T,) bool: the 95 % interval of the area is wider than 60 % of it, or the outline is like none of the
            training set's.
    """

    masks: np.ndarray
    probabilities: np.ndarray
    landmarks: np.ndarray | None
    areas: np.ndarray
    covariances: np.ndarray | None = None
    area_std: np.ndarray | None = None
    review: np.ndarray | None = None

    @property
    def area_intervals(self) -> np.ndarray | None:
        """(T, 2) float64: the lower and upper end of the areas' 95 % intervals, pixels."""
        if self.area_std is None:
            return None
        return (self.areas[:, None] + _95 * np.array([-1, 1]) * self.area_std[:, None]).clip(min=0)


class Predictor:
    """Calls the network of a run on frames of any size.

    Attributes:
        config: of the run.
        codec: of the run.
        calibration: of the run's landmarks; None in the mask approach, or where there was nothing to calibrate on.
    """

    def __init__(
        self,
        config: Config,
        model: UNet,
        codec: Codec,
        device: torch.device,
        *,
        calibration: Calibration | None = None,
        shapes: ShapeModel | None = None,
        regularize: bool = False,
    ) -> None:
        self.config, self.codec, self.calibration = config, codec, calibration
        self._model = model.to(device).eval()
        self._device, self._shapes, self._pull_back = device, shapes, regularize

    def __call__(self, frames: np.ndarray) -> Prediction:
        """Segment frames.

        Args:
            frames: (T, H, W) uint8, grey; T may be 0.

        Raises:
            ValueError: another shape or dtype.
        """
        if frames.ndim != 3 or frames.dtype != np.uint8 or 0 in frames.shape[1:]:
            raise ValueError(f"expected (T, H, W) uint8 frames, got {frames.shape} {frames.dtype}")
        size = frames.shape[1:]
        parts, moments = zip(*self._seen(frames), strict=True)
        masks, probabilities = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("masks", "probabilities")
        )
        codec = self.codec
        if not isinstance(codec, LandmarkCodec):
            return Prediction(masks, probabilities, None, masks.sum(axis=(1, 2), dtype=np.int64))
        landmarks = np.concatenate([part.landmarks for part in parts])
        impossible = np.zeros(len(masks), dtype=bool)
        if self._shapes is not None:
            trained = resize_points(landmarks, size, self.config.size)  # as the training set's: the aspect may differ
            impossible = self._shapes.distances(trained) > self._shapes.limit
            if self._pull_back:
                pulled = self._shapes.regularize(trained[impossible])
                landmarks[impossible] = resize_points(pulled, self.config.size, size)
                masks[impossible] = fill_polygons(codec.join(landmarks[impossible]), size)
        areas = masks.sum(axis=(1, 2), dtype=np.int64)
        if self.calibration is None:
            return Prediction(masks, probabilities, landmarks, areas)
        scale = np.array([size[1] / self.config.size[1], size[0] / self.config.size[0]])
        covariances = self.calibration.covariances(np.concatenate(moments)) * np.outer(scale, scale)
        area_std = self.calibration.deviations(lambda moved: contour_area(codec.join(moved)), landmarks, covariances)
        review = impossible | (2 * _95 * area_std > WIDE * areas)
        return Prediction(masks, probabilities, landmarks, areas, covariances, area_std, review)

    def on_clip(self, clip: Clip) -> Prediction:
        """Segment the part of a clip that is to be seen, and of it, if the spacing is known, the run's field.

        Returns:
            The prediction at the clip's own size; nothing is predicted around that part.
        """
        size = clip.frames.shape[1], clip.frames.shape[2]
        part = Box(*clip.square, clip.square[2]) if clip.square else Box(0, 0, *size)
        box = fov_box(part, clip.spacing, self.config.fov_mm)
        seen = self(cut(clip.frames, box))
        masks, corner = paste(seen.masks, box, size), np.array([box.left, box.top], dtype=np.float32)
        return dataclasses.replace(
            seen,
            masks=masks,
            probabilities=paste(seen.probabilities, box, size),
            landmarks=None if seen.landmarks is None else seen.landmarks + corner,
            areas=masks.sum(axis=(1, 2), dtype=np.int64),
        )

    @torch.inference_mode()
    def _seen(self, frames: np.ndarray) -> Iterator[tuple[Decoded, np.ndarray | None]]:
        """Batch by batch, what the logits say, and the moments of the heatmaps at the network's size."""
        size = frames.shape[1:]
        for start in range(0, max(1, len(frames)), self.config.batch_size):
            batch = resize_frames(frames[start : start + self.config.batch_size], self.config.size)
            batch = np.require(batch, requirements=["C", "W"])
            logits = self._model(torch.from_numpy(batch).to(self._device))
            decoded, moments = self.codec.decode(logits, size), None
            if decoded.landmarks is not None and self.calibration is not None:
                landmarks = torch.from_numpy(resize_points(decoded.landmarks, size, self.config.size)).to(self._device)
                reach = _REACH * self.config.sigma
                moments = heatmap_moments(logits.float(), landmarks, reach=reach).cpu().numpy()
            yield decoded, moments

    @torch.inference_mode()
    def attention(self, frames: np.ndarray) -> list[np.ndarray]:
        """What the attention gates let through, from the deepest to the shallowest: (T, h, w) float32 in [0, 1] each.

        Args:
            frames: (T, H, W) uint8 of the network's size.
        """
        maps = self._model.forward_with_attention(torch.from_numpy(frames).to(self._device))[1]
        return [found[:, 0].float().cpu().numpy() for found in maps]


def load(run: str | Path, *, device: str = "auto", regularize: bool = True) -> Predictor:
    """Load the best weights of a run.

    Args:
        run: folder that ``echoseg train`` wrote.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        regularize: bring outlines that are like none of the training set's back to what they may be; see
            ``geometry.shape``. ``Prediction.review`` marks them all the same.

    Raises:
        DataError: not a run, a damaged file, or no such device.
    """
    run = Path(run)
    config, model, codec = load_run(run)
    calibration = load_calibration(run / CALIBRATION) if (run / CALIBRATION).exists() else None
    shapes = load_shapes(run / SHAPES) if (run / SHAPES).exists() else None
    return Predictor(
        config, model, codec, choose_device(device), calibration=calibration, shapes=shapes, regularize=regularize
    )
