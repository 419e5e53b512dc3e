"""Masks that are computed on a GPU without contours, compared with the filled contours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echoseg.models import codec as codecs
from echoseg.models.codec import MaskCodec
from echoseg.models.regions import plain_regions


def filled_contours(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    contours, pieces = codecs.threshold_contours(probabilities, 0.5)
    return codecs.fill_contours(contours, probabilities.shape[1:]), pieces


def smooth_noise(count: int, size: tuple[int, int], sigma: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    fields = random.normal(size=(count, *size)) + random.uniform(-0.1, 0.1, (count, 1, 1))
    fields = np.stack([cv2.GaussianBlur(field, (0, 0), sigma) if sigma else field for field in fields])
    return (1 / (1 + np.exp(-4 * fields / fields.std()))).astype(np.float32)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0, 9.0])
def test_plain_frames_are_the_filled_contours(sigma):
    probabilities = smooth_noise(120, (21, 27), sigma)
    masks, plain = (result.numpy() for result in plain_regions(torch.from_numpy(probabilities), 0.5))
    expected, pieces = filled_contours(probabilities)
    np.testing.assert_array_equal(masks[plain], expected[plain])
    np.testing.assert_array_equal(masks, probabilities > 0.5)
    assert (pieces[plain] <= 1).all()
    if sigma == 9:
        assert plain.mean() > 0.5
        assert (masks[~plain] != expected[~plain]).any()


@given(st.lists(st.sampled_from([0.1, 0.4, 0.6, 0.95]), min_size=30, max_size=30))
def test_small_frames_with_corners_holes_and_borders(values):
    probabilities = np.array(values, np.float32).reshape(1, 5, 6)
    masks, plain = plain_regions(torch.from_numpy(probabilities), 0.5)
    expected, pieces = filled_contours(probabilities)
    same = np.array_equal(masks.numpy(), expected)
    assert same or not plain.item()
    assert plain.item() == (same and pieces[0] <= 1)  # the contour of one piece without holes


def test_frames_at_the_level_are_left_to_the_contour():
    """The contour passes through the centre of a pixel there."""
    probabilities = torch.full((3, 8, 9), 0.2)
    probabilities[:, 2:6, 2:6] = 0.9
    probabilities[1, 6, 3] = 0.5
    probabilities[2, 6, 3] = 0.5 + 2e-7
    assert plain_regions(probabilities, 0.5)[1].tolist() == [True, False, False]


def test_nothing_and_everything():
    probabilities = torch.stack([torch.zeros(8, 9), torch.ones(8, 9)])
    masks, plain = plain_regions(probabilities, 0.5)
    assert plain.all()
    assert masks.sum(dim=(1, 2)).tolist() == [0, 72]


@pytest.mark.parametrize("sigma", [0.0, 2.0, 9.0])
def test_masks_of_a_gpu_equal_those_of_the_cpu(sigma):
    probabilities = torch.from_numpy(smooth_noise(60, (20, 30), sigma, seed=1))
    expected = filled_contours(probabilities.numpy())[0]
    assert torch.equal(codecs._masks_without_contours(MaskCodec(), probabilities), torch.from_numpy(expected))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_masks_of_a_real_gpu_equal_those_of_the_cpu():
    logits = torch.from_numpy(smooth_noise(60, (20, 30), 5.0)).logit()[:, None].cuda()
    probabilities = MaskCodec().decode(logits).probabilities
    masks = codecs.decode_masks(MaskCodec(), logits)
    np.testing.assert_array_equal(masks.cpu().numpy(), filled_contours(probabilities.cpu().numpy())[0])
