"""Traced frames predicted among their neighbours in the video, for post-processing over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import Recording
from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop, fov_box
from echoseg.inference.postprocess import parse_step, postprocess
from echoseg.inference.predictor import Prediction, Predictor
from echoseg.io.reading import decode_clip
from echoseg.utils.parallel import map_in_order

_REACH = 3  # of the smoothing's σ to either side
_OVER_TIME = "smooth"


def reach_of(steps: Sequence[str]) -> int:
    """Frames to either side of a traced one that steps look at."""
    return sum(math.ceil(_REACH * parse_step(step)[1]) for step in steps if step.partition("=")[0] == _OVER_TIME)


def predict_traced(
    predictor: Predictor, recordings: Mapping[str, Recording], samples: pd.DataFrame, steps: Sequence[str]
) -> Prediction:
    """Predict the traced frames of a store's samples at the network's size, with steps that look at neighbours.

    Args:
        predictor: of any run.
        recordings: by video, with their files.
        samples: N rows of a store's table, video and frame.
        steps: post-processing, see ``inference.postprocess``.

    Returns:
        N images, in the order of the samples. A neighbour that cannot be decoded is left out.

    Raises:
        DataError: a video that cannot be opened, or lacks a traced frame.
    """
    config = predictor.config
    groups = [(recordings[str(name)], rows) for name, rows in samples.reset_index(drop=True).groupby("video")]

    def decode(group: tuple[Recording, pd.DataFrame]) -> tuple[np.ndarray, list[int], int]:
        recording, rows = group
        reach = 0 if math.isfinite(recording.thickness) else reach_of(steps)  # slices are no moments
        wanted = {t for frame in rows["frame"] for t in range(max(0, frame - reach), frame + reach + 1)}
        found = decode_clip(recording.path, sorted(wanted)).frames
        if lacking := set(rows["frame"]) - set(found):
            raise DataError(f"{recording.path}: frame {min(lacking)} cannot be read; replace the file")
        frames = np.stack(list(found.values()))
        box = fov_box(Box(0, 0, *frames.shape[1:]), recording.spacing, config.fov_mm)
        return Crop(box, config.size).frames(frames), list(found), reach

    parts: list[Prediction] = []
    places: list[int] = []
    bar = tqdm(groups, desc="predict among neighbours", unit="video", disable=None)
    for (_, rows), (frames, numbers, reach) in zip(bar, map_in_order(decode, groups), strict=True):
        seen = predictor(frames)
        for place, frame in rows["frame"].items():
            window = [i for i, number in enumerate(numbers) if abs(number - frame) <= reach]
            middle = window.index(numbers.index(frame))
            parts.append(postprocess(seen.take(window), steps, predictor.codec).take([middle]))
            places.append(int(place))
    return Prediction.join(parts).take(np.argsort(places))
