"""Fixed copies of training images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from _settings import AUGMENTATION
from echoseg.errors import DataError
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.training import checkpoint
from echoseg.training.augment import inverse_maps, warp_frames
from echoseg.training.batches import Batches
from echoseg.training.config import Config
from echoseg.training.copies import COPIES, ROTATION, ZOOM, add_copies, copy_maps
from echoseg.training.plan import make_plan
from echoseg.training.presets import PRESETS

CPU = torch.device("cpu")
STILL = dict.fromkeys(("rotation", "zoom", "shift", "gamma", "gain", "shade", "noise"), 0.0)
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**AUGMENTATION, **TINY, **settings})


def seen(store, config, epoch, count=20):
    """The frames and masks of an epoch, sorted."""
    batches = Batches(store, np.arange(count), checkpoint.build(config)[1], config, CPU)
    pairs = [pair for batch in batches.epoch(epoch) for pair in zip(batch.frames, batch.targets, strict=True)]
    return sorted((frame.numpy().tobytes(), target.numpy().tobytes()) for frame, target in pairs)


def test_the_numbers_are_those_of_the_paper():
    masks, landmarks = (PRESETS["mendoza"][approach]["fixed_copies"] for approach in ("mask", "landmark"))
    assert len(add_copies(np.arange(2400), masks, 0, 3200)) == 7200
    assert abs(len(add_copies(np.arange(4200), landmarks, 0, 7000)) - 8268) <= 3


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_each_copied_image_has_all_copies(share):
    indices = np.array([7, 2, 5, 11])
    kinds, images = np.divmod(add_copies(indices, share, 0, 12), 12)
    assert images[kinds == 0].tolist() == indices.tolist()
    for kind in range(1, len(COPIES) + 1):
        assert set(images[kinds == kind]) <= set(indices)
        assert len(set(images[kinds == kind])) == (kinds == kind).sum() == round(share * 4)
        assert set(images[kinds == kind]) == set(images[kinds == 1])


def test_the_seed_chooses_the_images():
    one, again, other = (add_copies(np.arange(100), 0.5, seed, 100) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert set(one) != set(other)


def test_copies_equal_those_of_opencv():
    image = np.zeros((40, 50), np.float32)
    cv2.ellipse(image, (22, 17), (10, 6), 30, 0, 360, 255, -1)
    image = cv2.GaussianBlur(image, (0, 0), 2)
    centre = (49 / 2, 39 / 2)
    expected = [
        image,
        cv2.warpAffine(image, cv2.getRotationMatrix2D(centre, ROTATION, 1), (50, 40)),
        cv2.warpAffine(image, cv2.getRotationMatrix2D(centre, 0, 1 + ZOOM), (50, 40)),
        image[:, ::-1],
    ]
    maps = inverse_maps(*copy_maps(np.arange(4), (40, 50)), (40, 50))
    actual = warp_frames(torch.from_numpy(image).expand(4, -1, -1), torch.from_numpy(maps)).numpy()
    for copy, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(copy, other, atol=3)  # OpenCV rounds positions to 1/32 pixel


def test_copies_are_the_same_in_each_epoch_and_stand_beside_random_augmentation(disc_store):
    fixed = tiny(approach="mask", fixed_copies=0.5, **STILL)
    assert len(set(seen(disc_store, fixed, 0))) == 20 + 3 * 10
    assert seen(disc_store, fixed, 0) == seen(disc_store, fixed, 1)
    assert set(seen(disc_store, tiny(approach="mask", **STILL), 0)) < set(seen(disc_store, fixed, 0))
    both = tiny(approach="mask", fixed_copies=0.5, **{**STILL, "shift": 0.1})
    assert seen(disc_store, both, 0) != seen(disc_store, both, 1)


def test_masks_follow_their_copies(disc_store):
    config = tiny(approach="mask", fixed_copies=1.0, **STILL)
    for frames, targets, *_ in Batches(disc_store, np.arange(20), checkpoint.build(config)[1], config, CPU).epoch(0):
        dark, inside = (frames > 1) & (frames < 85), targets[:, 0] > 0
        agreement = 2 * (dark & inside).sum((1, 2)) / (dark.sum((1, 2)) + inside.sum((1, 2)))
        assert agreement.mean() > 0.8


def test_landmarks_of_the_anatomy_follow_their_copies(chord_store):
    config = tiny(scheme="anatomical", landmarks=7, fixed_copies=1.0, flip=0.5)
    batches = Batches(chord_store, np.arange(12), checkpoint.build(config)[1], config, CPU)
    for step in range(len(batches)):
        plan = batches._plans[0, step, step + 1]
        expected = choose_landmarks(plan.contours, config.landmarks, scheme="anatomical")
        np.testing.assert_allclose(plan.landmarks, expected, atol=1e-3)


def test_copies_count_as_images_where_the_number_of_epochs_is_chosen(disc_store):
    plans = [make_plan(tiny(approach="mask", fixed_copies=share), disc_store, CPU) for share in (0, 1.0)]
    assert [plan.config.epochs for plan in plans] == [400, 100]


def test_copies_need_echosegs_augmentation(disc_store):
    config = tiny(fixed_copies=0.5)
    with pytest.raises(DataError, match="fixed_copies is part of echoseg's augmentation"):
        Batches(disc_store, np.arange(20), checkpoint.build(config)[1], config, CPU, augment=lambda *given: given[:2])
