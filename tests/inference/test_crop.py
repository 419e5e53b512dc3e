"""Predictors with a field of view in millimetres, on clips of any size."""

from __future__ import annotations

import math

import numpy as np
import torch

from echoseg.inference.predictor import Predictor
from echoseg.io.clip import Clip
from echoseg.training import checkpoint
from echoseg.training.config import Config


def test_prediction_is_placed_at_the_field_of_view_in_the_frame():
    config = Config(size=(32, 32), width=2, depth=2, landmarks=3, fov_mm=32.0)
    predictor = Predictor(config, *checkpoint.build(config), torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 256, (2, 50, 70), dtype=np.uint8)
    nan = math.nan
    of_crop = predictor(np.ascontiguousarray(frames[:, 9:41, 19:51]))
    of_clip = predictor(Clip(frames, nan, (1.0, 1.0), nan))
    for name in ("masks", "probabilities"):
        expected = np.zeros((2, 50, 70), getattr(of_crop, name).dtype)
        expected[:, 9:41, 19:51] = getattr(of_crop, name)
        np.testing.assert_array_equal(getattr(of_clip, name), expected)
    np.testing.assert_array_equal(of_clip.landmarks, of_crop.landmarks + np.float32([19, 9]))
    np.testing.assert_array_equal(of_clip.areas, of_crop.areas)

    without_spacing = predictor(Clip(frames, nan, (nan, nan), nan))
    np.testing.assert_array_equal(without_spacing.masks, predictor(frames).masks)
    with_square = predictor(Clip(frames, nan, (nan, nan), nan, (9, 19, 32)))
    np.testing.assert_array_equal(with_square.masks, of_clip.masks)
    small = predictor(Clip(frames[:, :10, :12].copy(), nan, (1.0, 1.0), nan))
    assert small.masks.shape == (2, 10, 12)
    np.testing.assert_array_equal(small.areas, small.masks.sum(axis=(1, 2)))
