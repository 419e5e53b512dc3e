"""Figures of what a network is trained on: masks, bands, landmarks, heatmaps and augmentation, for one traced image."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echoseg.datasets.recording import Dataset
from echoseg.datasets.store import Store
from echoseg.evaluation.orderings import compare_orderings, masks_by_ordering
from echoseg.geometry.landmarks import SCHEMES, choose_landmarks
from echoseg.ops import border_band, fill_polygons, render_heatmaps
from echoseg.report.figures import save_figure
from echoseg.report.overlay import LANDMARK, TRUE
from echoseg.report.results import write_orderings
from echoseg.training.augment import (
    Augmentation,
    change_greys,
    draw_augmentation,
    draw_speckle,
    grey_names,
    inverse_maps,
    warp_frames,
)
from echoseg.training.config import Config
from echoseg.training.copies import COPIES, ROTATION, ZOOM, copy_maps

_COUNTS = (3, 5, 6, 7)  # of landmarks
_EXAMPLES = 1 + len(COPIES)  # of augmentation
_RANDOM_SETTINGS = (
    *("rotation", "zoom", "shift", "flip"),
    *("gamma", "gain", "shade", "attenuation", "shadow", "blur", "noise"),
)
_BAND_ITERATIONS = 2  # as in Rodríguez Valencia et al., where the settings have no band
_TRUE, _LANDMARK = (np.array(colour) / 255 for colour in (TRUE, LANDMARK))


def write_target_figures(frame: np.ndarray, contour: np.ndarray, config: Config, folder: Path) -> None:
    """Write one PNG file for each step from a tracing to the targets.

    - `bands.png`: the mask, and border bands of one to three iterations;
    - `landmarks.png`: the landmarks of each scheme, for several numbers of them;
    - `heatmaps.png`: the maximum of the Gaussian and of the Euclidean heatmaps, without and with band;
    - `landmark_heatmaps.png`: the heatmap of each landmark over the frame;
    - `augmentation.png`: the fixed copies, and examples of random augmentation if the settings have any.

    Args:
        frame: (H, W) uint8.
        contour: (P, 2) float32, pixels.
        config: Says how landmarks are chosen, how heatmaps are drawn, and how frames are augmented; its scheme is set.
        folder: The folder to write to.
    """
    assert config.scheme is not None
    landmarks = choose_landmarks(contour[None], config.landmarks, scheme=config.scheme)[0]
    _bands_figure(frame, contour, config, folder / "bands.png")
    _landmarks_figure(frame, contour, config, folder / "landmarks.png")
    _heatmaps_figure(frame, contour, landmarks, config, folder / "heatmaps.png")
    _landmark_heatmaps_figure(frame, contour, landmarks, config, folder / "landmark_heatmaps.png")
    _augmentation_figure(frame, contour, config, folder / "augmentation.png")


def write_orderings_of(dataset: Dataset, store: Store, index: int, folder: Path) -> None:
    """Write `orderings.png` and `orderings.csv` for one image, if its tracing is made of chords.

    Args:
        dataset: The data set.
        store: The store made from it.
        index: The image in the store.
        folder: The folder to write to.
    """
    if dataset.kind == "chords":
        image = dataclasses.replace(store, frames=store.frames[[index]], samples=store.samples.iloc[[index]])
        masks = masks_by_ordering(dataset, image)
        write_orderings(compare_orderings(masks), masks, image.frames, folder)


def _bands_figure(frame: np.ndarray, contour: np.ndarray, config: Config, path: Path) -> None:
    mask = fill_polygons(contour[None], frame.shape)
    figure, axes = _panels(1, 5)
    _show(axes[0, 0], frame, "frame and contour", contour=contour)
    _show(axes[0, 1], mask[0], "mask", vmax=1)
    side = config.band_kernel
    for axis, iterations in zip(axes[0, 2:], (1, 2, 3), strict=True):
        band = border_band(mask, kernel_size=side, iterations=iterations)[0]
        _show(axis, band, f"band, {side}×{side}, iterations: {iterations}", vmax=1)
    save_figure(figure, path)


def _landmarks_figure(frame: np.ndarray, contour: np.ndarray, config: Config, path: Path) -> None:
    # "anatomical" needs chords, for which it is the scheme that is chosen by default
    schemes = [name for name in SCHEMES if name != "anatomical" or config.scheme == "anatomical"]
    figure, axes = _panels(len(schemes), len(_COUNTS))
    for row, scheme in zip(axes, schemes, strict=True):
        for axis, count in zip(row, _COUNTS, strict=True):
            if not SCHEMES[scheme].accepts(count):
                axis.set_axis_off()
                continue
            points = choose_landmarks(contour[None], count, scheme=scheme)[0]
            _show(axis, frame, f"{scheme}, K = {count}", contour=contour, landmarks=points)
    save_figure(figure, path)


def _heatmaps_figure(frame: np.ndarray, contour: np.ndarray, landmarks: np.ndarray, config: Config, path: Path) -> None:
    iterations = config.band_iterations or _BAND_ITERATIONS
    mask = fill_polygons(contour[None], frame.shape)
    band = border_band(mask, kernel_size=config.band_kernel, iterations=iterations)
    kinds: dict[str, dict[str, Any]] = {
        f"Gaussian, σ = {config.sigma:g} px": {"kind": "gaussian", "sigma": config.sigma, "radius": config.radius},
        f"Euclidean, radius {config.radius:g} px": {"kind": "euclidean", "radius": config.radius},
    }
    figure, axes = _panels(2, 1 + len(kinds))
    _show(axes[0, 0], frame, f"{len(landmarks)} landmarks", contour=contour, landmarks=landmarks)
    _show(axes[1, 0], band[0], f"band, iterations: {iterations}", vmax=1)
    for row, limit, words in zip(axes, (None, band), ("", "\ntimes the band"), strict=True):
        for axis, (name, settings) in zip(row[1:], kinds.items(), strict=True):
            heatmaps = render_heatmaps(landmarks[None], frame.shape, **settings, band=limit)[0]
            _show(axis, heatmaps.max(axis=0), name + words, cmap="magma", vmax=1)
    save_figure(figure, path)


def _landmark_heatmaps_figure(
    frame: np.ndarray, contour: np.ndarray, landmarks: np.ndarray, config: Config, path: Path
) -> None:
    settings: dict[str, Any] = {"kind": config.heatmap, "sigma": config.sigma, "radius": config.radius}
    if config.band_iterations:
        mask = fill_polygons(contour[None], frame.shape)
        settings["band"] = border_band(mask, kernel_size=config.band_kernel, iterations=config.band_iterations)
    heatmaps = render_heatmaps(landmarks[None], frame.shape, **settings)[0]
    columns = min(-(-len(landmarks) // 2), 5)
    figure, axes = _panels(-(-len(landmarks) // columns), columns)
    for axis in axes.flat[len(landmarks) :]:
        axis.set_axis_off()
    for k, (axis, heatmap) in enumerate(zip(axes.flat, heatmaps, strict=False)):
        _show(axis, frame, f"landmark {k}", landmarks=landmarks[k : k + 1])
        axis.imshow(heatmap, cmap="magma", alpha=np.sqrt(heatmap), vmin=0, vmax=1)
    save_figure(figure, path)


def _augmentation_figure(frame: np.ndarray, contour: np.ndarray, config: Config, path: Path) -> None:
    still = np.tile(np.eye(2), (_EXAMPLES, 1, 1)), np.zeros((_EXAMPLES, 2))
    unchanged_greys = np.empty((_EXAMPLES, 0), np.float32)
    fixed = Augmentation(*still, unchanged_greys).after(*copy_maps(np.arange(_EXAMPLES), frame.shape))
    rows = [(fixed, ["original", f"rotated by {ROTATION:g}°", f"enlarged by {100 * ZOOM:g} %", "mirrored"])]
    if any(getattr(config, name) for name in _RANDOM_SETTINGS):
        random = np.random.default_rng(config.seed)
        rows.append((draw_augmentation(random, _EXAMPLES, frame.shape, config), ["random augmentation"] * _EXAMPLES))
    figure, axes = _panels(len(rows), _EXAMPLES)
    for row, (drawn, titles) in zip(axes, rows, strict=True):
        image = torch.from_numpy(frame.astype(np.float32)).expand(_EXAMPLES, -1, -1)
        images = warp_frames(image, torch.from_numpy(inverse_maps(drawn.linear, drawn.offset, frame.shape)))
        if drawn.greys.size:
            greys = dict(zip(grey_names(config), torch.from_numpy(drawn.greys).unbind(1), strict=True))
            images = change_greys(images, greys, draw_speckle(config.seed, frame.shape))
        for axis, moved, linear, offset, title in zip(row, images, drawn.linear, drawn.offset, titles, strict=True):
            _show(axis, moved.numpy(), title, contour=contour @ linear.T + offset)
    save_figure(figure, path)


def _panels(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(2.4 * columns, 2.65 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _show(
    axis: Axes,
    image: np.ndarray,
    title: str,
    *,
    contour: np.ndarray | None = None,
    landmarks: np.ndarray | None = None,
    cmap: str = "gray",
    vmax: float = 255,
) -> None:
    axis.imshow(image, cmap=cmap, vmin=0, vmax=vmax)
    if contour is not None:
        closed = np.concatenate([contour, contour[:1]])
        axis.plot(*closed.T, color=_TRUE, lw=1.2)
    if landmarks is not None:
        axis.plot(*landmarks.T, "o", ms=4.5, color=_LANDMARK, mec="black", mew=0.6, zorder=3)
    axis.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
