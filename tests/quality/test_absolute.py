"""Faults that all files of a data set share, and contours that no comparison with others shows."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from _masks import make_image, save_image
from echoseg.datasets.store import prepare
from echoseg.quality.dataset_check import check_dataset

SIZE = (80, 80)


def shape(number: int) -> np.ndarray:
    """(H, W) uint8 of 0 and 1: an ellipse in the upper left."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.ellipse(mask, (30 + number % 3, 26 + number % 2), (11 + number % 4, 17), 20, 0, 360, 1, cv2.FILLED)
    return mask


def write(folder, mask_of, image_of=None):
    for number in range(10):
        mask = shape(number)
        image = make_image(mask) if image_of is None else image_of(mask)
        noise = np.random.default_rng(number).integers(0, 6, SIZE, dtype=np.uint8)
        wall = cv2.dilate(mask, np.ones((9, 9), np.uint8)) > 0
        image = np.where(wall, image, image // 2) + noise
        save_image(folder / f"images/p{number}.png", image.astype(np.uint8))
        save_image(folder / f"masks/p{number}.png", mask_of(mask))
    return folder


def findings(folder):
    return [(found.reason, found.file) for found in check_dataset(folder).findings]


def test_nothing_is_found_in_true_masks(tmp_path):
    assert findings(write(tmp_path, lambda mask: mask)) == []


@pytest.mark.parametrize(
    ("turn", "name"),
    [
        (lambda mask: mask[::-1], "mirrored top to bottom"),
        (lambda mask: mask[:, ::-1], "mirrored left to right"),
        (lambda mask: mask[::-1, ::-1], "turned by 180°"),
        (np.transpose, "with x and y swapped"),
    ],
)
def test_masks_that_are_all_turned_are_found(tmp_path, turn, name):
    folder = write(tmp_path, lambda mask: np.ascontiguousarray(turn(mask)))
    (found,) = (each for each in check_dataset(folder).findings if each.reason == "turned or mirrored")
    assert found.file == "masks/p0.png"
    assert f"in all 10 images, borders are stronger if the contours are {name}" in found.note


def test_contours_without_edges_are_found(tmp_path):
    random = np.random.default_rng(0)

    def flat(mask):
        coarse = random.integers(40, 200, (20, 20), dtype=np.uint8)
        return cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)

    reasons = [reason for reason, _ in findings(write(tmp_path, lambda mask: mask, flat))]
    assert reasons.count("no edges") == 1


HOLLOW = np.zeros(SIZE, np.uint8)
cv2.ellipse(HOLLOW, (40, 40), (22, 30), 0, 20, 340, 1, 6)
SHAPES = {
    "covers the image": np.pad(np.ones((72, 66), np.uint8), ((4, 4), (7, 7))),
    "on the border": np.pad(np.ones((30, 40), np.uint8), ((0, 50), (20, 20))),
    "hollow": HOLLOW,
}


@pytest.mark.parametrize("reason", SHAPES)
def test_an_unlikely_shape_of_all_masks_is_found_in_each(tmp_path, reason):
    mask = SHAPES[reason]
    folder = write(tmp_path, lambda _: mask, lambda _: make_image(mask))
    assert [file for found, file in findings(folder) if found == reason] == [f"masks/p{k}.png" for k in range(10)]


@pytest.mark.slow
def test_pieces_and_holes_are_found_in_their_masks(tmp_path):
    def change(mask):
        mask = mask.copy()
        if mask.sum() == shape(0).sum():
            mask[60:70, 60:70] = 1
        if mask.sum() == shape(3).sum():
            mask[20:32, 26:34] = 0
        return mask

    folder = write(tmp_path / "data", change)
    found = findings(folder)
    assert found == findings(prepare(folder, tmp_path / "store").path)
    areas = [shape(number).sum() for number in range(10)]
    assert found == [
        *(("several pieces", f"masks/p{k}.png") for k in range(10) if areas[k] == areas[0]),
        *(("holes", f"masks/p{k}.png") for k in range(10) if areas[k] == areas[3]),
    ]
