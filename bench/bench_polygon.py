"""Filled polygons. Floor: zeroing the masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

import compiled
from echoseg.ops import fill_polygons
from race import Contender
from samples import MANY, contours


def echoseg(points, masks, rule="center"):
    return lambda: fill_polygons(points, masks.shape[1:], rule=rule, out=masks)


def echoseg_opencv(points, masks):
    return echoseg(points, masks, "opencv")


def opencv(points, masks):
    rounded = np.rint(points).astype(np.int32)

    def run():
        masks.fill(0)
        for mask, contour in zip(masks, rounded, strict=True):
            cv2.fillPoly(mask, [contour], 1)

    return run


def opencv_tall(points, masks):
    """All masks as one tall image, all contours in one call."""
    tall = masks.reshape(-1, masks.shape[2])
    rounded = np.rint(points).astype(np.int32)
    rounded[..., 1] += masks.shape[1] * np.arange(len(points), dtype=np.int32)[:, None]
    outlines = list(rounded)

    def run():
        tall.fill(0)
        cv2.fillPoly(tall, outlines, 1)

    return run


def numba_scanline(points, masks):
    fill = compiled.scanline()
    return lambda: fill(points, masks)


def pillow(points, masks):
    from PIL import Image, ImageDraw

    outlines = [[tuple(point) for point in contour.tolist()] for contour in points]

    def run():
        for mask, outline in zip(masks, outlines, strict=True):
            image = Image.new("L", mask.shape[::-1])
            ImageDraw.Draw(image).polygon(outline, fill=1)
            mask[:] = np.asarray(image)

    return run


def coco(points, masks):
    from pycocotools import mask as coco_mask

    outlines = [[contour.ravel().tolist()] for contour in points + 0.5]  # it counts from the pixel's corner

    def run():
        for mask, outline in zip(masks, outlines, strict=True):
            mask[:] = coco_mask.decode(coco_mask.frPyObjects(outline, *mask.shape))[..., 0]

    return run


def kornia(points, masks):
    import torch
    from kornia.utils import draw_convex_polygon

    polygons, color = torch.from_numpy(points), torch.ones(len(points), 1)
    images = torch.empty(len(points), 1, *masks.shape[1:])

    def run():
        masks[:] = draw_convex_polygon(images.zero_(), polygons, color)[:, 0].numpy()

    return run


def rasterio(points, masks):
    from rasterio.features import rasterize

    shapes = [
        {"type": "Polygon", "coordinates": [[*contour, contour[0]]]}
        for contour in (points + 0.5).tolist()  # it counts from the pixel's corner
    ]

    def run():
        masks.fill(0)
        for mask, shape in zip(masks, shapes, strict=True):
            rasterize([shape], out=mask)

    return run


def skimage(points, masks):
    from skimage.draw import polygon

    def run():
        masks.fill(0)
        for mask, contour in zip(masks, points, strict=True):
            mask[polygon(contour[:, 1], contour[:, 0], mask.shape)] = 1

    return run


def matplotlib(points, masks):
    from matplotlib.path import Path

    grid = np.argwhere(np.ones(masks.shape[1:]))[:, ::-1]

    def run():
        for mask, contour in zip(masks, points, strict=True):
            mask[:] = Path(contour).contains_points(grid).reshape(mask.shape)

    return run


def floor(points, masks):
    return lambda: masks.fill(0)


# `off`: the tolerance of the check, the share of pixels that differ from echoseg with the same rule
CONTENDERS = {
    "floor": Contender(floor),
    "echoseg": Contender(echoseg, rule="center"),
    "echoseg, 2 threads": Contender(echoseg, threads=2, rule="center"),
    "echoseg, rule opencv": Contender(echoseg_opencv),
    "cv2.fillPoly, loop": Contender(opencv),
    "cv2.fillPoly, tall image": Contender(opencv_tall),
    "numba scanline": Contender(numba_scanline, needs="numba", rule="center"),
    "PIL.ImageDraw.polygon, loop": Contender(pillow, images=200, rule="center", off=0.03),
    "pycocotools, loop": Contender(coco, needs="pycocotools", images=200, rule="center", off=0.01),
    "kornia draw_convex_polygon": Contender(kornia, needs="kornia", images=64, rule="center", off=0.03),
    "rasterio.features.rasterize, loop": Contender(rasterio, needs="rasterio", images=100, rule="center"),
    "skimage.draw.polygon, loop": Contender(skimage, images=50, rule="center"),
    "matplotlib Path.contains_points, loop": Contender(matplotlib, images=20, rule="center", off=0.001),
}


@pytest.mark.parametrize("size", MANY)
def bench_fill(race, size):
    count, shape = MANY[size]
    points = contours(count, shape)
    masks, expected = np.empty((2, count, *shape), np.uint8)
    for name, contender, images in race.entrants(CONTENDERS, count, shape):
        run = contender.make(points[:images], masks[:images])
        if name != "floor":
            run()
            echoseg(points[:images], expected[:images], contender.rule)()
            assert (masks[:images] != expected[:images]).mean() <= contender.off, name
        race.enter(name, run, images, contender.threads)
    race.start(f"fill, {size}")


def coverage(points, shares):
    return lambda: fill_polygons(points, shares.shape[1:], rule="coverage", out=shares)


def numba_areas(points, shares):
    cover = compiled.signed_areas()
    return lambda: cover(points, shares)


FINER = 4  # approximation of exact areas: a mask at four times the resolution, averaged


def opencv_finer(points, shares):
    rounded = np.rint((points + 0.5) * FINER - 0.5).astype(np.int32)
    size = shares.shape[:0:-1]
    fine = np.empty((size[1] * FINER, size[0] * FINER), np.float32)

    def run():
        for share, contour in zip(shares, rounded, strict=True):
            fine.fill(0)
            cv2.fillPoly(fine, [contour], 1.0)
            cv2.resize(fine, size, dst=share, interpolation=cv2.INTER_AREA)

    return run


def pillow_finer(points, shares):
    from PIL import Image, ImageDraw

    outlines = [[tuple(point) for point in contour.tolist()] for contour in (points + 0.5) * FINER - 0.5]
    size = shares.shape[1] * FINER, shares.shape[2] * FINER

    def run():
        for share, outline in zip(shares, outlines, strict=True):
            image = Image.new("L", size[::-1])
            ImageDraw.Draw(image).polygon(outline, fill=255)
            np.divide(np.asarray(image.reduce(FINER)), np.float32(255), out=share)

    return run


def coverage_floor(points, shares):
    return floor(points, shares.view(np.uint8))


# `off`: the tolerance of the check, the relative difference of the mean area (a mask with its border is larger)
COVERAGE = {
    "floor": Contender(coverage_floor),
    "echoseg": Contender(coverage),
    "echoseg, 2 threads": Contender(coverage, threads=2),
    "numba signed areas": Contender(numba_areas, needs="numba", off=1e-5),
    "cv2.fillPoly 4 times finer, loop": Contender(opencv_finer, images=200, off=0.02),
    "PIL 4 times finer, loop": Contender(pillow_finer, images=64, off=0.02),
}


@pytest.mark.parametrize("size", MANY)
def bench_coverage(race, size):
    count, shape = MANY[size]
    points = contours(count, shape)
    shares, expected = np.empty((2, count, *shape), np.float32)
    for name, contender, images in race.entrants(COVERAGE, count, shape):
        run = contender.make(points[:images], shares[:images])
        if name != "floor":
            run()
            coverage(points[:images], expected[:images])()
            assert abs(shares[:images] - expected[:images]).sum() <= contender.off * expected[:images].sum(), name
        race.enter(name, run, images, contender.threads)
    race.start(f"coverage, {size}")
