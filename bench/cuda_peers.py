"""Other implementations on a GPU for `bench_cuda.py`: torch, kornia, MONAI, CuPy and cuCIM.

Each function takes inputs and outputs, prepares, and returns the function to be timed. CuPy and cuCIM share the memory
of the tensors. They work on the default stream, as torch does here.
"""

from __future__ import annotations

import torch

from samples import SIGMA


def even_odd(points, out):
    """Rule "center" in torch: one pass over the masks for each edge."""
    height, width = out[0].shape[1:]
    y = torch.arange(height, dtype=torch.float64, device=points.device)[:, None]
    x = torch.arange(width, dtype=torch.float64, device=points.device)

    def run():
        inside = torch.zeros(out[0].shape, dtype=torch.bool, device=points.device)
        for start, end in zip(points.double().roll(1, 1).unbind(1), points.double().unbind(1), strict=True):
            down = (start[:, 1] <= end[:, 1])[:, None]
            (x0, y0), (x1, y1) = (torch.where(down, a, b).T[..., None, None] for a, b in ((start, end), (end, start)))
            crossed = (y0 <= y) & (y < y1)
            inside ^= crossed & (x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        out[0].copy_(inside)

    return run


def max_pool(masks, out):
    pool = torch.nn.functional.max_pool2d

    def run():
        wide = masks[:, None].half()
        out[0].copy_((pool(wide, 5, 1, 2) + pool(-wide, 5, 1, 2))[:, 0])

    return run


def kornia_band(masks, out):
    from kornia.morphology import dilation, erosion

    kernel = torch.ones((5, 5), device=masks.device)

    def run():
        wide = masks[:, None].float()
        out[0].copy_((dilation(wide, kernel) - erosion(wide, kernel))[:, 0])

    return run


def cupy_band(masks, out):
    import cupy
    from cupyx.scipy.ndimage import binary_dilation, binary_erosion

    stack, band, element = cupy.asarray(masks), cupy.asarray(out[0]), cupy.ones((1, 5, 5), bool)

    def run():
        band[...] = binary_dilation(stack, element) ^ binary_erosion(stack, element, border_value=1)

    return run


def cucim_band(masks, out):
    import cupy
    from cucim.skimage.morphology import binary_dilation, binary_erosion

    stack, band, element = cupy.asarray(masks).astype(bool), cupy.asarray(out[0]), cupy.ones((1, 5, 5), bool)

    def run():
        band[...] = binary_dilation(stack, element) ^ binary_erosion(stack, element)

    return run


def separable(points, out):
    """Separable Gaussians in torch."""
    y, x = (torch.arange(n, device=points.device) for n in out[0].shape[2:])

    def run():
        rows = torch.exp((y - points[..., 1, None]) ** 2 / (-2 * SIGMA**2))
        columns = torch.exp((x - points[..., 0, None]) ** 2 / (-2 * SIGMA**2))
        torch.mul(rows[..., :, None], columns[..., None, :], out=out[0])

    return run


def transform_loop(masks, out, transform):
    import cupy

    stack, distances = cupy.asarray(masks), cupy.asarray(out[0])

    def run():
        for i in range(len(stack)):
            distances[i] = transform(stack[i])

    return run


def cupy_transform(masks, out):
    from cupyx.scipy.ndimage import distance_transform_edt

    return transform_loop(masks, out, distance_transform_edt)


def cucim_transform(masks, out):
    from cucim.core.operations.morphology import distance_transform_edt

    return transform_loop(masks, out, distance_transform_edt)


def torch_max(maps, out):
    def run():
        confidence, best = maps.flatten(2).max(dim=2)
        out[0].copy_(torch.stack([best % maps.shape[3], best // maps.shape[3]], dim=2))
        out[1].copy_(confidence)

    return run


def kornia_soft(maps, out):
    """The mean position over the whole plane after a softmax, as in DSNT. Gives no confidence."""
    from kornia.geometry.subpix import spatial_soft_argmax2d

    temperature = torch.tensor(0.02, device=maps.device)
    return lambda: out[0].copy_(spatial_soft_argmax2d(maps, temperature, normalized_coordinates=False))


def monai_surfaces(predicted, true, out):
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    masks = predicted[:, None], true[:, None]

    def run():
        out[0].copy_(compute_hausdorff_distance(*masks, include_background=True, percentile=95)[:, 0])
        out[1].copy_(compute_average_surface_distance(*masks, include_background=True, symmetric=True)[:, 0])

    return run


def monai_dice(predicted, true, out, subvoxels=False):
    from monai.metrics import compute_surface_dice

    masks = [torch.stack([1 - array, array], dim=1) for array in (predicted, true)]  # the background is not measured

    def run():
        out[0].copy_(compute_surface_dice(*masks, class_thresholds=[2.0], use_subvoxels=subvoxels)[:, 0])

    return run


def monai_subvoxel_dice(predicted, true, out):
    return monai_dice(predicted, true, out, subvoxels=True)


def cucim_surfaces(predicted, true, out):
    """The usual implementation: borders by erosion, one distance transform per mask, percentiles."""
    import cupy
    from cucim.core.operations.morphology import distance_transform_edt
    from cupyx.scipy.ndimage import binary_erosion

    pairs = cupy.asarray(predicted).astype(bool), cupy.asarray(true).astype(bool)
    hd95, assd = (cupy.asarray(array) for array in out)

    def run():
        for i, masks in enumerate(zip(*pairs, strict=True)):
            borders = [mask & ~binary_erosion(mask) for mask in masks]
            away = [distance_transform_edt(~border) for border in borders]
            there, back = away[1][borders[0]], away[0][borders[1]]
            hd95[i] = cupy.maximum(cupy.percentile(there, 95), cupy.percentile(back, 95))
            assd[i] = cupy.concatenate([there, back]).mean()

    return run
