"""What a predictor takes, and that its result does not depend on the caller's settings of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import echoseg

FRAMES = np.random.default_rng(0).integers(0, 255, (2, 112, 112), dtype=np.uint8)


@pytest.fixture(scope="module", params=["landmark", "mask"])
def approach(request):
    return request.param


@pytest.fixture(scope="module")
def prediction(approach):
    return echoseg.load(approach=approach, device="cpu")(FRAMES)


def assert_equal(one, other):
    for name in ("probabilities", "landmarks", "covariances", "area_std", "masks"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)


@pytest.mark.parametrize("source", [torch.from_numpy(FRAMES), list(FRAMES), None])
def test_a_source_of_another_type_is_refused(source):
    predict = echoseg.load(device="cpu")
    for crop_sector in (False, True):
        with pytest.raises(TypeError, match=r"expected a path, a clip, or \(T, H, W\) uint8 frames as a NumPy array"):
            predict(source, crop_sector=crop_sector)


def test_autocast_of_the_caller_changes_nothing(approach, prediction):
    predict = echoseg.load(approach=approach, device="cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert_equal(predict(FRAMES), prediction)


def test_a_default_dtype_of_the_caller_changes_nothing(approach, prediction):
    torch.set_default_dtype(torch.float64)
    try:
        assert_equal(echoseg.load(approach=approach, device="cpu")(FRAMES), prediction)
    finally:
        torch.set_default_dtype(torch.float32)
