"""A whole target: mask, 5×5 band, seven gaussians times band times a disc of 8 pixels. Floor: zeroing all of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from skimage.filters import gaussian

from echoseg.ops import Targets, render_targets
from samples import FEW, LANDMARKS, contours, landmarks

SIGMA, RADIUS, KERNEL = 4.0, 8.0, 5
STYLE = {"rule": "opencv", "kernel_size": KERNEL, "iterations": 1, "sigma": SIGMA, "radius": RADIUS}


def echoseg(points, marks, out):
    return lambda: render_targets(points, marks, out.mask.shape[1:], out=out, **STYLE)


def mask_and_band(points, out):
    kernel = np.ones((KERNEL, KERNEL), np.uint8)
    out.mask.fill(0)
    for mask, band, contour in zip(out.mask, out.band, np.rint(points).astype(np.int32), strict=True):
        cv2.fillPoly(mask, [contour], 1)
        cv2.bitwise_xor(cv2.dilate(mask, kernel), cv2.erode(mask, kernel), dst=band)


def opencv_numpy(points, marks, out):
    y, x = np.arange(out.mask.shape[1], dtype=np.float32), np.arange(out.mask.shape[2], dtype=np.float32)

    def run():
        mask_and_band(points, out)
        rows, columns = (y - marks[..., 1, None]) ** 2, (x - marks[..., 0, None]) ** 2
        factors = [np.exp(square / (-2 * SIGMA**2)) for square in (rows, columns)]
        np.multiply(factors[0][..., :, None], factors[1][..., None, :], out=out.heatmaps)
        np.multiply(out.heatmaps, rows[..., :, None] + columns[..., None, :] <= RADIUS**2, out=out.heatmaps)
        np.multiply(out.heatmaps, out.band[:, None], out=out.heatmaps)

    return run


def opencv_windows(points, marks, out):
    """OpenCV, and NumPy only inside each disc's window: the best that we could think of without compiling anything."""
    height, width = out.mask.shape[1:]
    reach = int(RADIUS) + 1
    offsets = np.arange(-reach, reach + 1)

    def run():
        mask_and_band(points, out)
        out.heatmaps.fill(0)
        left, top = np.rint(marks[..., 0]).astype(int), np.rint(marks[..., 1]).astype(int)
        columns, rows = left[..., None] + offsets, top[..., None] + offsets
        across, down = (columns - marks[..., 0, None]) ** 2, (rows - marks[..., 1, None]) ** 2
        square = down[..., :, None] + across[..., None, :]
        values = np.where(square <= RADIUS**2, np.exp(square / (-2 * SIGMA**2)), 0).astype(np.float32)
        for i in range(len(points)):
            for k in range(LANDMARKS):
                y0, x0 = max(rows[i, k, 0], 0), max(columns[i, k, 0], 0)
                y1, x1 = min(rows[i, k, -1] + 1, height), min(columns[i, k, -1] + 1, width)
                window = values[
                    i, k, y0 - rows[i, k, 0] : y1 - rows[i, k, 0], x0 - columns[i, k, 0] : x1 - columns[i, k, 0]
                ]
                np.multiply(window, out.band[i, y0:y1, x0:x1], out=out.heatmaps[i, k, y0:y1, x0:x1])

    return run


def opencv_torch(points, marks, out):
    y, x = torch.arange(out.mask.shape[1]), torch.arange(out.mask.shape[2])
    marks, heatmaps, band = torch.from_numpy(marks), torch.from_numpy(out.heatmaps), torch.from_numpy(out.band)

    def run():
        mask_and_band(points, out)
        rows, columns = (y - marks[..., 1, None]) ** 2, (x - marks[..., 0, None]) ** 2
        torch.mul(
            torch.exp(rows / (-2 * SIGMA**2))[..., :, None],
            torch.exp(columns / (-2 * SIGMA**2))[..., None, :],
            out=heatmaps,
        )
        heatmaps.mul_((rows[..., :, None] + columns[..., None, :]) <= RADIUS**2).mul_(band[:, None])

    return run


def seed(points, marks, out):
    """The first seed's way: a unit pixel through skimage's filter, scaled to 1, cut by disc and band."""
    y, x = np.mgrid[: out.mask.shape[1], : out.mask.shape[2]]

    def run():
        mask_and_band(points, out)
        for i, k in np.ndindex(*marks.shape[:2]):
            column, row = np.rint(marks[i, k]).astype(int)
            unit = np.zeros(out.mask.shape[1:])
            unit[row, column] = 1
            heatmap = gaussian(unit, sigma=SIGMA)
            disc = np.hypot(x - marks[i, k, 0], y - marks[i, k, 1]) <= RADIUS
            out.heatmaps[i, k] = heatmap / heatmap.max() * disc * out.band[i]

    return run


def floor(points, marks, out):
    raw = [array.view(np.uint8) for array in out]  # memset; filling floats is slower

    def run():
        for array in raw:
            array.fill(0)

    return run


CONTENDERS = {  # name: (contender, how far its heatmaps may be off, images at most)
    "floor": (floor, None, 64),
    "echoseg": (echoseg, 1e-6, 64),
    "cv2 + numpy windows": (opencv_windows, 1e-6, 64),
    "cv2 + numpy planes": (opencv_numpy, 1e-6, 64),
    "cv2 + torch planes": (opencv_torch, 1e-6, 64),
    "first seed's way (skimage)": (seed, 0.2, 4),  # it rounds the landmarks
}


@pytest.mark.parametrize("name", CONTENDERS)
@pytest.mark.parametrize("size", FEW)
def bench_targets(race, size, name):
    contender, allowed, most = CONTENDERS[name]
    count, shape = FEW[size]
    if shape[0] > 500:
        most = max(1, most // 4)
    points, marks = contours(count, shape)[:most], landmarks(count, shape)[:most]
    out, expected = (
        Targets(*np.empty((2, len(points), *shape), np.uint8), np.empty((len(points), LANDMARKS, *shape), np.float32))
        for _ in range(2)
    )
    run = contender(points, marks, out)
    if allowed is not None:
        run()
        echoseg(points, marks, expected)()
        np.testing.assert_array_equal(out.mask, expected.mask)
        np.testing.assert_array_equal(out.band, expected.band)
        # A pixel that lies on the disc's edge may fall to either side.
        off = abs(out.heatmaps - expected.heatmaps)
        assert (off > allowed).mean() < 1e-5 if name != "first seed's way (skimage)" else off.mean() < 1e-3
    race(f"whole target, {size}", name, run, len(points))
