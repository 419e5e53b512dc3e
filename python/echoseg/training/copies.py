"""Fixed copies of training images: one rotated, one enlarged and one mirrored, the same in every epoch.

Source: Mendoza et al., "EchoNet-Dynamic: U-Net for Cardiac Image Segmentation", section 2.3. Only points are stored, so
a copy takes no memory: an entry names an image and a map, and both are applied when a batch is made.
"""

from __future__ import annotations

import numpy as np

ROTATION, ZOOM = 20.0, 0.2
"""Rotation in degrees, and enlargement as a fraction."""
COPIES = ("rotated", "enlarged", "mirrored")
_STREAM = 1_000_003  # of random numbers; those of an epoch have its number


def add_copies(indices: np.ndarray, share: float, seed: int, images: int) -> np.ndarray:
    """Add the copies of a share of the training images, which are drawn at random.

    Args:
        indices: (n,) int64, training images of a store.
        share: Share of them that are copied, from 0 to 1.
        seed: Random seed.
        images: Number of images in the store.

    Returns:
        (n + 3 m,) int64 entries, where m is the number of copied images. Entry e stands for image e % ``images``, as
        it is if e < ``images``, else as the copy ``COPIES[e // images - 1]``.
    """
    copied = np.random.default_rng([seed, _STREAM]).permutation(indices)[: round(share * len(indices))]
    return np.concatenate([indices, *(copied + number * images for number in range(1, len(COPIES) + 1))])


def copy_maps(kinds: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The map of each copy, about the centre of the frame.

    Args:
        kinds: (N,) int, 0 for the image itself, k for the copy ``COPIES[k - 1]``.
        size: (H, W) of the frames.

    Returns:
        linear (N, 2, 2) and offset (N, 2) float64; a point p, pixels, moves to ``linear @ p + offset``.
    """
    cosine, sine = np.cos(np.deg2rad(ROTATION)), np.sin(np.deg2rad(ROTATION))
    rotated = np.array([[cosine, sine], [-sine, cosine]])  # counterclockwise on the screen, as in SciPy and OpenCV
    linear = np.stack([np.eye(2), rotated, (1 + ZOOM) * np.eye(2), np.diag([-1.0, 1.0])])[kinds]
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    return linear, centre - linear @ centre
