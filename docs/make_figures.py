"""Draw the pictures of docs/kernels.md into docs/images/kernels/: ``python docs/make_figures.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image

from echoseg import ops

OUT = Path(__file__).parent / "images" / "kernels"
SIZE = (48, 48)
CONTOUR_COLOR, POINT_COLOR = "#ff9d00", "#e8336d"
MASK_COLORS = ListedColormap(["#1d2733", "#4da3ff"])
PAIR_COLORS = ListedColormap(["#1d2733", "#2f6cab", "#9fd0ff"])


def ventricle(points: int = 42, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """A contour like a left ventricle's in an apical view: (points, 2) float32, pixels of a frame of ``SIZE``."""
    angle = np.linspace(0.5 * np.pi, 2.5 * np.pi, points, endpoint=False) + np.pi / points
    height = np.sin(angle)
    x = 23.5 + scale * 9.5 * np.cos(angle) * (1.0 + 0.25 * height) + shift[0]
    y = 23.5 + scale * np.where(height > 0, 13.0 * np.maximum(height, 0.0) ** 0.55, 17.0 * height) + shift[1]
    return np.stack([x, y], axis=1).astype(np.float32)


def landmarks_of(contour: np.ndarray, count: int = 7) -> np.ndarray:
    """Evenly counted points of a contour: (count, 2) float32, pixels."""
    return contour[np.arange(count) * len(contour) // count]


def show(axis: Axes, image: np.ndarray, title: str, **style: object) -> None:
    """One panel: an image whose pixel centres are integers."""
    axis.imshow(image, interpolation="nearest", **({"cmap": MASK_COLORS, "vmin": 0, "vmax": 1} | style))
    axis.set_title(title, fontsize=9)
    axis.set_xticks([])
    axis.set_yticks([])


def outline(axis: Axes, contour: np.ndarray, **style: object) -> None:
    """A closed line through a contour's points."""
    closed = np.concatenate([contour, contour[:1]])
    axis.plot(closed[:, 0], closed[:, 1], **({"color": CONTOUR_COLOR, "linewidth": 1.2} | style))


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of one row."""
    figure = Figure(figsize=(2.5 * count, 2.75), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, count)))


def save(figure: Figure, name: str) -> None:
    """Write a small PNG: a palette of 256 colours."""
    path = OUT / f"{name}.png"
    figure.savefig(path, dpi=110, facecolor="white")
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def fill_polygons() -> None:
    """The three rules on a polygon of few pixels."""
    contour = np.array([[2.3, 9.6], [4.0, 3.2], [8.4, 1.6], [11.8, 4.9], [12.2, 10.4], [7.0, 8.2]], np.float32)
    figure, axes = panels(3)
    for axis, rule in zip(axes, ("center", "opencv", "coverage"), strict=True):
        mask = ops.fill_polygons(contour[None], (13, 15), rule=rule)[0]
        show(axis, mask, f'rule="{rule}"', cmap="Blues_r" if rule == "coverage" else MASK_COLORS)
        outline(axis, contour)
        axis.plot(*contour.T, "o", color=POINT_COLOR, markersize=3)
        axis.set_xticks(np.arange(15) - 0.5, [])
        axis.set_yticks(np.arange(13) - 0.5, [])
        axis.grid(color="white", linewidth=0.3, alpha=0.5)
        axis.tick_params(length=0)
    save(figure, "fill_polygons")


def dilate_and_erode() -> None:
    """A mask, grown and shrunk."""
    mask = ops.fill_polygons(ventricle()[None], SIZE)
    figure, axes = panels(3)
    show(axes[0], mask[0], "mask")
    show(axes[1], ops.dilate(mask, kernel_size=5, shape="ellipse")[0], 'dilate, kernel_size=5, "ellipse"')
    show(axes[2], ops.erode(mask, kernel_size=5, shape="ellipse")[0], 'erode, kernel_size=5, "ellipse"')
    for axis in axes:
        outline(axis, ventricle())
    save(figure, "dilate_erode")


def border_band() -> None:
    """Bands of one mask by size, number of iterations and shape."""
    mask = ops.fill_polygons(ventricle()[None], SIZE)
    figure, axes = panels(4)
    show(axes[0], mask[0], "mask")
    for axis, (size, shape, iterations) in zip(
        axes[1:], ((3, "rect", 1), (3, "rect", 2), (9, "cross", 1)), strict=True
    ):
        band = ops.border_band(mask, kernel_size=size, shape=shape, iterations=iterations)[0]
        show(axis, band, f'{size}×{size} "{shape}", iterations={iterations}')
    save(figure, "border_band")


def border_band_from_contours() -> None:
    """The band straight from the contour."""
    contour = ventricle()
    figure, axes = panels(2)
    show(axes[0], np.zeros(SIZE), "contour")
    axes[0].plot(*contour.T, "o", color=POINT_COLOR, markersize=2.5)
    show(axes[1], ops.border_band_from_contours(contour[None], SIZE, kernel_size=3, iterations=2)[0], "band")
    for axis in axes:
        outline(axis, contour)
    save(figure, "border_band_from_contours")


def render_heatmaps() -> None:
    """The two kinds, a limit and a band; the panels show the maximum over the landmarks."""
    contour = ventricle()
    landmarks = landmarks_of(contour)[None]
    band = ops.border_band_from_contours(contour[None], SIZE, kernel_size=3, iterations=2)
    figure, axes = panels(4)
    for axis, (title, settings) in zip(
        axes,
        {
            '"gaussian", sigma=4': {"sigma": 4.0},
            '"gaussian", sigma=4, radius=5': {"sigma": 4.0, "radius": 5.0},
            '"euclidean", radius=8': {"kind": "euclidean", "radius": 8.0},
            '"gaussian", sigma=4, band': {"sigma": 4.0, "band": band},
        }.items(),
        strict=True,
    ):
        show(axis, ops.render_heatmaps(landmarks, SIZE, **settings)[0].max(axis=0), title, cmap="magma")
        axis.plot(*landmarks[0].T, ".", color="white", markersize=3)
    save(figure, "render_heatmaps")


def render_targets() -> None:
    """What a network is trained on, from one contour and its landmarks."""
    contour = ventricle()
    landmarks = landmarks_of(contour)
    targets = ops.render_targets(contour[None], landmarks[None], SIZE, sigma=2.5, radius=10.0)
    figure, axes = panels(4)
    show(axes[0], np.zeros(SIZE), "contour and landmarks")
    outline(axes[0], contour)
    axes[0].plot(*landmarks.T, "o", color=POINT_COLOR, markersize=4)
    show(axes[1], targets.mask[0], "mask")
    show(axes[2], targets.band[0], "band")
    show(axes[3], targets.heatmaps[0].max(axis=0), "heatmaps (their maximum)", cmap="magma")
    save(figure, "render_targets")


def decode_heatmaps() -> None:
    """Where the three methods find a landmark between pixels."""
    true = np.array([[[6.37, 5.71]]], np.float32)
    heatmap = ops.render_heatmaps(true, (13, 15), sigma=2.0)
    figure, axes = panels(3)
    for axis, method in zip(axes, ("argmax", "soft_argmax", "dark"), strict=True):
        found = ops.decode_heatmaps(heatmap, method=method)[0][0, 0]
        show(axis, heatmap[0, 0], f'method="{method}": {np.hypot(*(found - true[0, 0])):.3f} px off', cmap="magma")
        axis.plot(*true[0, 0], "x", color="#00c2a8", markersize=11, markeredgewidth=2)
        axis.plot(*found, "+", color="black", markersize=11, markeredgewidth=1.5)
    save(figure, "decode_heatmaps")


def distance_transform() -> None:
    """Distances from each pixel of a mask to the nearest pixel outside."""
    mask = ops.fill_polygons(ventricle()[None], SIZE)
    figure, axes = panels(2)
    show(axes[0], mask[0], "mask")
    distances = ops.distance_transform(mask)[0]
    show(axes[1], distances, "distance, pixels", cmap="viridis", vmin=None, vmax=None)
    figure.colorbar(axes[1].images[0], ax=axes[1], shrink=0.85)
    save(figure, "distance_transform")


def surface_distances() -> None:
    """Two masks, their borders and the two measures."""
    true, predicted = ventricle(), ventricle(scale=0.85, shift=(2.0, -1.0))
    masks = ops.fill_polygons(np.stack([true, predicted]), SIZE)
    hd95, assd = ops.surface_distances(masks[1:], masks[:1])
    figure, axes = panels(2)
    show(axes[0], masks[0] + masks[1], "two masks", cmap=PAIR_COLORS, vmax=2)
    colors = ListedColormap(["#1d2733", CONTOUR_COLOR, "#4da3ff", "white"])
    borders = [mask & ~ops.erode(mask[None], shape="cross")[0] for mask in masks]
    show(axes[1], borders[0] + 2 * borders[1], f"HD95 {hd95[0]:.2f} px, ASSD {assd[0]:.2f} px", cmap=colors, vmax=3)
    save(figure, "surface_distances")


def normalized_surface_dice() -> None:
    """The corners of two contours, and whether they are within a tolerance of the other contour."""
    masks = ops.fill_polygons(np.stack([ventricle(), ventricle(scale=0.85, shift=(2.0, -1.0))]), SIZE)
    figure, axes = panels(2)
    for axis, tolerance in zip(axes, (1.5, 3.0), strict=True):
        nsd = ops.normalized_surface_dice(masks[1:], masks[:1], tolerance=tolerance)
        show(axis, masks[0] + masks[1], f"tolerance {tolerance} px: NSD {nsd[0]:.2f}", cmap=PAIR_COLORS, vmax=2)
        corners = [corners_of(mask) for mask in masks]
        for own, other in (corners, corners[::-1]):
            near = np.hypot(*(own[:, None] - other[None]).transpose(2, 0, 1)).min(axis=1) <= tolerance
            for part, color in ((own[near], CONTOUR_COLOR), (own[~near], POINT_COLOR)):
                axis.plot(*part.T, ".", color=color, markersize=2.5)
    save(figure, "normalized_surface_dice")


def corners_of(mask: np.ndarray) -> np.ndarray:
    """(n, 2) float (x, y), pixels: the corners between foreground and background."""
    padded = np.pad(mask, 1).astype(int)
    foreground = padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]
    return np.argwhere((foreground > 0) & (foreground < 4))[:, ::-1] - 0.5


def main() -> None:
    """Draw every picture."""
    OUT.mkdir(parents=True, exist_ok=True)
    for draw in (
        fill_polygons,
        dilate_and_erode,
        border_band,
        border_band_from_contours,
        render_heatmaps,
        render_targets,
        decode_heatmaps,
        distance_transform,
        surface_distances,
        normalized_surface_dice,
    ):
        draw()


if __name__ == "__main__":
    main()
