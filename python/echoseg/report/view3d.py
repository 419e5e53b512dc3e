"""A stack of masks as a shape to turn about: one HTML page with surface and points, in mm, that needs no network.

Between slices that lie 8 to 10 mm apart, the outline is found by shape-based interpolation: the signed distance to the
outline is linear from one slice to the next. Each slice stands for its whole thickness, so the shape ends half a slice
beyond the outermost ones, and encloses about the volume that the slices add up to.

Source: Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE Trans Med Imaging 9, 1990;
Lorensen and Cline, "Marching cubes", SIGGRAPH 1987.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from echoseg.ops import distance_transform, erode
from echoseg.report.html import TEMPLATES

COLOURS = {"prediction": "rgb(0, 190, 90)", "truth": "rgb(225, 40, 40)"}
_OPACITIES = {"prediction": 1, "truth": 0.4}
_SCENE = {
    "aspectmode": "data",
    "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 0.9}},
    "xaxis": {"title": "right, mm"},
    "yaxis": {"title": "front, mm"},
    "zaxis": {"title": "head, mm"},
}
_SMOOTHED = 1.0  # mm, sigma of the Gaussian over the distances: rounds off the steps of pixels, not the shape
_LIGHT = {
    "lighting": {"ambient": 0.5, "diffuse": 0.8, "specular": 0.1},
    "lightposition": {"x": 90000, "y": -90000, "z": 90000},
}
_PAD = 4  # pixels of background about the shape, so that its surface closes


def border_points(masks: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The border pixels of every slice.

    Args:
        masks: (T, H, W) uint8, 0 or 1.
        affine: (4, 4), from (slice, row, column) to mm.

    Returns:
        (M, 3) float64, mm.
    """
    borders = np.argwhere(masks > erode(masks, shape="cross"))
    return borders @ affine[:3, :3].T + affine[:3, 3]


def surface(masks: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surface about a stack of masks.

    Args:
        masks: (T, H, W) uint8, 0 or 1.
        affine: (4, 4), from (slice, row, column) to mm.

    Returns:
        (V, 3) float corners, mm, and (F, 3) int32 triangles, corners' numbers, counterclockwise seen from outside;
        none of an empty stack.
    """
    from skimage.measure import marching_cubes

    if not masks.any():
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int32)
    thickness, *spacing = np.linalg.norm(affine[:3, :3], axis=0)
    rows, columns = (np.flatnonzero(masks.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    cut = masks[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cut = np.pad(cut, ((0, 0), (_PAD, _PAD), (_PAD, _PAD)))
    inside, outside = (distance_transform(part, spacing=tuple(spacing)) for part in (cut, 1 - cut))
    distances = np.clip(inside - outside, -thickness, thickness)  # an empty slice lies one slice away

    layers = max(1, round(thickness / np.mean(spacing)))
    places = np.arange(-_PAD, len(cut) * layers + _PAD) / layers + (0.5 / layers - 0.5)  # of fine layers, in slices
    last = len(cut) - 1
    below = np.clip(np.floor(places).astype(int), 0, max(0, last - 1))
    share = np.clip(places - below, 0, min(1, last))[:, None, None]
    between = (1 - share) * distances[below] + share * distances[np.minimum(below + 1, last)]
    ends = thickness * np.minimum(places + 0.5, last + 0.5 - places)
    field = np.minimum(between, ends[:, None, None])
    field = gaussian_filter(field, [_SMOOTHED * layers / thickness, *(_SMOOTHED / side for side in spacing)])
    if field.max() <= 0:  # a few pixels, smoothed away
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int32)
    corners, triangles, _, _ = marching_cubes(field, 0)
    corners[:, 0] = places[0] + corners[:, 0] / layers
    corners[:, 1:] += np.array([rows[0], columns[0]]) - _PAD
    turn = 1 if np.linalg.det(affine[:3, :3]) < 0 else -1
    return corners @ affine[:3, :3].T + affine[:3, 3], triangles[:, ::turn].astype(np.int32)


def write_view(
    path: Path, masks: Mapping[str, np.ndarray], affine: np.ndarray, name: str, facts: Mapping[str, str]
) -> None:
    """Write the page; its buttons show and hide prediction and truth, surface and points.

    Args:
        path: HTML file to write, about 6 MB, since Plotly goes with it.
        masks: "prediction", and "truth" where it is known: (T, H, W) uint8, 0 or 1.
        affine: (4, 4), from (slice, row, column) to mm to the right, front and head.
        name: its title.
        facts: what the page says about them, by name.

    Raises:
        ModuleNotFoundError: Plotly or scikit-image is missing.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout={"showlegend": False, "margin": dict.fromkeys("lrtb", 0), "scene": _SCENE})
    for who, mask in masks.items():
        (x, y, z), (i, j, k) = (part.T for part in surface(mask, affine.astype(np.float32)))
        mesh = {"x": x, "y": y, "z": z, "i": i, "j": j, "k": k, "color": COLOURS[who], "opacity": _OPACITIES[who]}
        figure.add_mesh3d(**mesh, **_LIGHT, meta=[who, "surface"])
        x, y, z = border_points(mask, affine.astype(np.float32)).T
        dots = {"size": 2.5, "color": COLOURS[who]}
        figure.add_scatter3d(x=x, y=y, z=z, mode="markers", marker=dots, meta=[who, "points"], visible=False)
    figure.update_traces(hoverinfo="x+y+z")
    drawing = figure.to_html(full_html=False, include_plotlyjs=True, div_id="view", config={"displaylogo": False})
    page = TEMPLATES.get_template("view3d.html").render(
        name=name, facts=facts, masks=masks, colours=COLOURS, drawing=drawing
    )
    path.write_text(page, encoding="utf-8")
