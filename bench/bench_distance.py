"""Distance transforms (floor: zeroing the distances); HD95 and ASSD, and NSD, of pairs (floor: reading the masks)."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from echoseg.ops import distance_transform, fill_polygons, normalized_surface_dice, surface_distances
from race import Contender
from samples import FEWER, contours


def echoseg(masks, out):
    return lambda: distance_transform(masks, out=out)


def scipy(masks, out):
    from scipy.ndimage import distance_transform_edt

    def run():
        for mask, distances in zip(masks, out, strict=True):
            distances[:] = distance_transform_edt(mask)

    return run


def opencv(masks, out):
    def run():
        for mask, distances in zip(masks, out, strict=True):
            cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=distances)

    return run


def seung(masks, out):
    from edt import edt

    def run():
        for mask, distances in zip(masks, out, strict=True):
            distances[:] = edt(mask, parallel=1)

    return run


def floor(masks, out):
    raw = out.view(np.uint8)
    return lambda: raw.fill(0)


# `off`: the tolerance of the check, the difference of distances in pixels
TRANSFORMS = {
    "floor": Contender(floor),
    "echoseg": Contender(echoseg),
    "echoseg, 2 threads": Contender(echoseg, threads=2),
    "cv2.distanceTransform precise, loop": Contender(opencv, off=1e-4),
    "edt, loop": Contender(seung, needs="edt", off=1e-4),
    "scipy distance_transform_edt, loop": Contender(scipy, images=32, off=1e-5),
}


@pytest.mark.parametrize("size", FEWER)
def bench_transform(race, size):
    count, shape = FEWER[size]
    masks = fill_polygons(contours(count, shape), shape)
    out, expected = np.empty((2, *masks.shape), np.float32)
    for name, contender, images in race.entrants(TRANSFORMS, count, shape):
        run = contender.make(masks[:images], out[:images])
        if name != "floor":
            run()
            echoseg(masks[:images], expected[:images])()
            np.testing.assert_allclose(out[:images], expected[:images], atol=contender.off, rtol=0, err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"distance transform, {size}")


def echoseg_surfaces(predicted, true, out):
    return lambda: surface_distances(predicted, true, out=tuple(out))


def scipy_surfaces(predicted, true, out):
    """The usual implementation: borders by erosion, one distance transform per mask, percentiles."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    def run():
        for i, masks in enumerate(zip(predicted.view(bool), true.view(bool), strict=True)):
            borders = [mask & ~binary_erosion(mask) for mask in masks]
            away = [distance_transform_edt(~border) for border in borders]
            there, back = away[1][borders[0]], away[0][borders[1]]
            out[0, i] = max(np.percentile(there, 95), np.percentile(back, 95))
            out[1, i] = np.concatenate([there, back]).mean()

    return run


def monai_surfaces(predicted, true, out):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    masks = [torch.from_numpy(array)[:, None] for array in (predicted, true)]

    def run():
        out[0] = compute_hausdorff_distance(*masks, include_background=True, percentile=95)[:, 0]
        out[1] = compute_average_surface_distance(*masks, include_background=True, symmetric=True)[:, 0]

    return run


def deepmind_surfaces(predicted, true, out):
    """Weights surface elements by their length, which gives slightly different values."""
    import surface_distance

    def run():
        for i, (mask, reference) in enumerate(zip(predicted.view(bool), true.view(bool), strict=True)):
            found = surface_distance.compute_surface_distances(reference, mask, (1, 1))
            out[0, i] = surface_distance.compute_robust_hausdorff(found, 95)
            out[1, i] = np.mean(surface_distance.compute_average_surface_distance(found))

    return run


def surface_floor(predicted, true, out):
    return lambda: (predicted.max(), true.max())


# `off`: the tolerance of the check, the difference of HD95 and of ASSD in pixels
SURFACES = {
    "floor": Contender(surface_floor),
    "echoseg": Contender(echoseg_surfaces),
    "echoseg, 2 threads": Contender(echoseg_surfaces, threads=2),
    "MONAI": Contender(monai_surfaces, needs="monai", images=16, off=1e-4),
    "scipy, loop": Contender(scipy_surfaces, images=32, off=1e-4),
    "surface-distance, loop": Contender(deepmind_surfaces, needs="surface_distance", images=16, off=1.0),
}
PAIRS = {
    name.replace("500", "1000"): (1000 if count == 500 else count, shape) for name, (count, shape) in FEWER.items()
}


@pytest.mark.parametrize("size", PAIRS)
def bench_surfaces(race, size):
    count, shape = PAIRS[size]
    masks = fill_polygons(contours(count + 1, shape), shape)
    predicted, true = masks[1:], masks[:-1]
    out, expected = np.empty((2, 2, count), np.float64)
    for name, contender, images in race.entrants(SURFACES, count, shape):
        results = out[:, :images].copy()
        run = contender.make(predicted[:images], true[:images], results)
        if name != "floor":
            run()
            mine = expected[:, :images].copy()
            echoseg_surfaces(predicted[:images], true[:images], mine)()
            np.testing.assert_allclose(results, mine, atol=contender.off, rtol=0, err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"HD95 and ASSD, {size}")


TOLERANCE = 2.0  # pixels


def echoseg_dice(predicted, true, out):
    return lambda: normalized_surface_dice(predicted, true, tolerance=TOLERANCE, out=out)


def deepmind_dice(predicted, true, out):
    import surface_distance

    def run():
        for i, (mask, reference) in enumerate(zip(predicted.view(bool), true.view(bool), strict=True)):
            found = surface_distance.compute_surface_distances(reference, mask, (1, 1))
            out[i] = surface_distance.compute_surface_dice_at_tolerance(found, TOLERANCE)

    return run


def monai_dice(predicted, true, out, subvoxels=False):
    import torch
    from monai.metrics import compute_surface_dice

    # one channel is the background's, which is not measured
    masks = [torch.from_numpy(np.stack([1 - array, array], axis=1)) for array in (predicted, true)]

    def run():
        out[:] = compute_surface_dice(*masks, class_thresholds=[TOLERANCE], use_subvoxels=subvoxels)[:, 0]

    return run


def monai_subvoxel_dice(predicted, true, out):
    return monai_dice(predicted, true, out, subvoxels=True)


# `off`: the tolerance of the check, the difference of NSD
DICE = {
    "floor": Contender(surface_floor),
    "echoseg": Contender(echoseg_dice),
    "echoseg, 2 threads": Contender(echoseg_dice, threads=2),
    "MONAI, border pixels": Contender(monai_dice, needs="monai", images=16, off=0.2),
    "MONAI, use_subvoxels": Contender(monai_subvoxel_dice, needs="monai", images=16, off=1e-6),
    "surface-distance, loop": Contender(deepmind_dice, needs="surface_distance", images=16, off=1e-12),
}


@pytest.mark.parametrize("size", PAIRS)
def bench_surface_dice(race, size):
    count, shape = PAIRS[size]
    masks = fill_polygons(contours(count + 1, shape), shape)
    predicted, true = masks[1:], masks[:-1]
    out, expected = np.empty((2, count), np.float64)
    for name, contender, images in race.entrants(DICE, count, shape):
        run = contender.make(predicted[:images], true[:images], out[:images])
        if name != "floor":
            run()
            echoseg_dice(predicted[:images], true[:images], expected[:images])()
            np.testing.assert_allclose(out[:images], expected[:images], atol=contender.off, rtol=0, err_msg=name)
        race.enter(name, run, images, contender.threads)
    race.start(f"NSD, {size}")
