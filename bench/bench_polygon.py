"""Filled polygons against OpenCV, Pillow, scikit-image and matplotlib. Floor: zeroing the masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from matplotlib.path import Path
from PIL import Image, ImageDraw
from skimage.draw import polygon2mask

from echoseg.ops import fill_polygons
from samples import SIZES, contours


def echoseg(points, masks):
    return lambda: fill_polygons(points, masks.shape[1:], out=masks)


def echoseg_opencv(points, masks):
    return lambda: fill_polygons(points, masks.shape[1:], rule="opencv", out=masks)


def opencv(points, masks):
    rounded = np.rint(points).astype(np.int32)

    def run():
        masks.fill(0)
        for mask, contour in zip(masks, rounded, strict=True):
            cv2.fillPoly(mask, [contour], 1)

    return run


def pillow(points, masks):
    outlines = [[tuple(point) for point in contour.tolist()] for contour in points]

    def run():
        for mask, outline in zip(masks, outlines, strict=True):
            image = Image.new("L", mask.shape[::-1])
            ImageDraw.Draw(image).polygon(outline, fill=1)
            mask[:] = np.asarray(image)

    return run


def skimage(points, masks):
    def run():
        for mask, contour in zip(masks, points, strict=True):
            mask[:] = polygon2mask(mask.shape, contour[:, ::-1])

    return run


def matplotlib(points, masks):
    grid = np.argwhere(np.ones(masks.shape[1:]))[:, ::-1]

    def run():
        for mask, contour in zip(masks, points, strict=True):
            mask[:] = Path(contour).contains_points(grid).reshape(mask.shape)

    return run


def floor(points, masks):
    return lambda: masks.fill(0)


# name: (contender, the one whose masks it must equal, the share of differing pixels that is allowed, images at most)
CONTENDERS = {
    "floor": (floor, None, 0, 2000),
    "echoseg": (echoseg, None, 0, 2000),
    "echoseg, opencv rule": (echoseg_opencv, opencv, 0, 2000),
    "cv2.fillPoly, loop": (opencv, echoseg_opencv, 0, 2000),
    "PIL.ImageDraw.polygon, loop": (pillow, echoseg, 0.03, 200),
    "skimage.draw.polygon2mask, loop": (skimage, echoseg, 0, 50),
    "matplotlib Path.contains_points, loop": (matplotlib, echoseg, 0.001, 20),
}


@pytest.mark.parametrize("name", CONTENDERS)
@pytest.mark.parametrize("size", SIZES)
def bench_fill(race, size, name):
    contender, equal, allowed, most = CONTENDERS[name]
    count, shape = SIZES[size]
    points = contours(count, shape)[: most if shape[0] < 500 else max(1, most // 20)]
    masks, expected = np.empty((2, len(points), *shape), np.uint8)
    run = contender(points, masks)
    if equal:
        run()
        equal(points, expected)()
        assert (masks != expected).mean() <= allowed
    race(f"fill, {size}", name, run, len(points))


@pytest.mark.parametrize("threads", ["1", "2"])
def bench_fill_threads(race, monkeypatch, threads):
    monkeypatch.setenv("ECHOSEG_NUM_THREADS", threads)
    count, shape = SIZES["N=2000, 112×112"]
    masks = np.empty((count, *shape), np.uint8)
    name = "echoseg" if threads == "1" else f"echoseg, {threads} threads"
    race("fill, N=2000, 112×112, threads", name, echoseg(contours(count, shape), masks), count)
