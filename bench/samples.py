"""The inputs of all benchmarks: synthetic contours of a left ventricle, and landmarks on them."""

from __future__ import annotations

import numpy as np

POINTS = 42
LANDMARKS = 7
SIGMA = 4.0
MANY = {  # for masks
    "N=64, 112×112": (64, (112, 112)),
    "N=2000, 112×112": (2000, (112, 112)),
    "N=64, 256×256": (64, (256, 256)),
    "N=64, 512×512": (64, (512, 512)),
}
FEWER = {name.replace("2000", "500"): (min(count, 500), shape) for name, (count, shape) in MANY.items()}  # for heatmaps


def contours(count: int, size: tuple[int, int]) -> np.ndarray:
    """(count, 42, 2) float32, pixels: Smooth elongated contours of about the size of a ventricle in an apical view."""
    random = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
    waves = sum(
        random.normal(0, 0.04 / k, (count, 1)) * np.cos(k * angle + random.uniform(0, 6, (count, 1))) for k in (2, 3, 4)
    )
    radius = 1 + waves
    x = 0.5 + random.uniform(-0.05, 0.05, (count, 1)) + 0.16 * radius * np.cos(angle)
    y = 0.5 + random.uniform(-0.05, 0.05, (count, 1)) + 0.30 * radius * np.sin(angle)
    return (np.stack([x, y], axis=2) * [size[1], size[0]]).astype(np.float32)


def landmarks(count: int, size: tuple[int, int]) -> np.ndarray:
    """(count, 7, 2) float32, pixels: Points on the contours."""
    return contours(count, size)[:, :: POINTS // LANDMARKS].copy()
