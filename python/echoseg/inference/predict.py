"""A trained run as a function: frames in, masks and landmarks out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from echoseg.data.decode import resize_frames
from echoseg.models.codec import Codec, Decoded
from echoseg.models.unet import UNet
from echoseg.training.checkpoint import load_run
from echoseg.training.config import Config
from echoseg.training.loop import choose_device


@dataclass(frozen=True)
class Prediction:
    """What a predictor says of T frames, all at the size of the frames that were put in.

    Attributes:
        masks: (T, H, W) uint8, 0 or 1.
        probabilities: (T, H, W) float32; see ``models.codec.Decoded``.
        landmarks: (T, K, 2) float32, pixels; None in the mask approach.
        areas: (T,) int64, pixels of the mask.
    """

    masks: np.ndarray
    probabilities: np.ndarray
    landmarks: np.ndarray | None
    areas: np.ndarray


class Predictor:
    """Calls the network of a run on frames of any size.

    Attributes:
        config: of the run.
        codec: of the run.
    """

    def __init__(self, config: Config, model: UNet, codec: Codec, device: torch.device) -> None:
        self.config, self.codec = config, codec
        self._model = model.to(device).eval()
        self._device = device

    def __call__(self, frames: np.ndarray) -> Prediction:
        """Segment frames.

        Args:
            frames: (T, H, W) uint8, grey; T may be 0.

        Raises:
            ValueError: another shape or dtype.
        """
        if frames.ndim != 3 or frames.dtype != np.uint8 or 0 in frames.shape[1:]:
            raise ValueError(f"expected (T, H, W) uint8 frames, got {frames.shape} {frames.dtype}")
        parts = list(self._decoded(frames))
        masks, probabilities = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("masks", "probabilities")
        )
        landmarks = None if parts[0].landmarks is None else np.concatenate([part.landmarks for part in parts])
        return Prediction(masks, probabilities, landmarks, masks.sum(axis=(1, 2), dtype=np.int64))

    @torch.inference_mode()
    def _decoded(self, frames: np.ndarray) -> Iterator[Decoded]:
        size = frames.shape[1:]
        for start in range(0, max(1, len(frames)), self.config.batch_size):
            batch = resize_frames(frames[start : start + self.config.batch_size], self.config.size)
            batch = np.require(batch, requirements=["C", "W"])
            yield self.codec.decode(self._model(torch.from_numpy(batch).to(self._device)), size)


def load(run: str | Path, *, device: str = "auto") -> Predictor:
    """Load the best weights of a run.

    Args:
        run: folder that ``echoseg train`` wrote.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        DataError: not a run, a damaged file, or no such device.
    """
    config, model, codec = load_run(Path(run))
    return Predictor(config, model, codec, choose_device(device))
