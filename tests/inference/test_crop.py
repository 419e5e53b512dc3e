"""A run that was trained on a field in millimetres, on clips of any size."""

from __future__ import annotations

import math

import numpy as np
import torch

from echoseg.inference.predictor import Predictor
from echoseg.io.clip import Clip
from echoseg.training import checkpoint
from echoseg.training.config import Config


def test_what_is_predicted_in_a_field_lies_where_it_is_in_the_frame():
    config = Config(size=(32, 32), width=2, depth=2, landmarks=3, fov_mm=32.0)
    predictor = Predictor(config, *checkpoint.build(config), torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 256, (2, 50, 70), dtype=np.uint8)
    nan = math.nan
    inside = predictor(np.ascontiguousarray(frames[:, 9:41, 19:51]))
    found = predictor(Clip(frames, nan, (1.0, 1.0), nan))
    for name in ("masks", "probabilities"):
        whole = np.zeros((2, 50, 70), getattr(inside, name).dtype)
        whole[:, 9:41, 19:51] = getattr(inside, name)
        np.testing.assert_array_equal(getattr(found, name), whole)
    np.testing.assert_array_equal(found.landmarks, inside.landmarks + np.float32([19, 9]))
    np.testing.assert_array_equal(found.areas, inside.areas)

    unknown = predictor(Clip(frames, nan, (nan, nan), nan))
    np.testing.assert_array_equal(unknown.masks, predictor(frames).masks)
    square = predictor(Clip(frames, nan, (nan, nan), nan, (9, 19, 32)))
    np.testing.assert_array_equal(square.masks, found.masks)
    small = predictor(Clip(frames[:, :10, :12].copy(), nan, (1.0, 1.0), nan))
    assert small.masks.shape == (2, 10, 12)
    np.testing.assert_array_equal(small.areas, small.masks.sum(axis=(1, 2)))
