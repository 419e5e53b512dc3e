"""A stack of masks in 3-D: an HTML page with the surface and the border points, in mm, that loads nothing else.

Slices are 8 to 10 mm apart. Between them, the surface is found by shape-based interpolation: the signed distance to the
contour changes linearly from one slice to the next. The surface ends half a slice beyond the outermost slices, so that
it encloses about the sum of the volumes of the slices.

Source: Raya and Udupa, "Shape-based interpolation of multidimensional objects", IEEE Transactions on Medical Imaging 9,
1990; Lorensen and Cline, "Marching cubes: a high resolution 3D surface construction algorithm", SIGGRAPH 1987.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from echoseg.ops import distance_transform, erode
from echoseg.report.templating import TEMPLATES

COLOURS = {"prediction": "rgb(0, 190, 90)", "truth": "rgb(225, 40, 40)"}
_OPACITIES = {"prediction": 1, "truth": 0.4}
_SCENE = {
    "aspectmode": "data",
    "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 0.9}},
    "xaxis": {"title": "right, mm"},
    "yaxis": {"title": "anterior, mm"},
    "zaxis": {"title": "superior, mm"},
}
_SIGMA = 1.0  # mm, of the Gaussian filter of the distances; it smooths the edges of pixels, but not the shape
_LIGHT = {
    "lighting": {"ambient": 0.5, "diffuse": 0.8, "specular": 0.1},
    "lightposition": {"x": 90000, "y": -90000, "z": 90000},
}
_PADDING = 4  # pixels of background around the masks, so that the surface is closed


def border_points(masks: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The positions of the border pixels of every slice.

    Args:
        masks: (T, H, W) uint8, 0 or 1.
        affine: (4, 4) float, from (slice, row, column) to mm.

    Returns:
        (M, 3) float64, mm.
    """
    borders = np.argwhere(masks > erode(masks, shape="cross"))
    return borders @ affine[:3, :3].T + affine[:3, 3]


def surface(masks: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The closed surface around a stack of masks.

    Args:
        masks: (T, H, W) uint8, 0 or 1.
        affine: (4, 4) float, from (slice, row, column) to mm.

    Returns:
        The vertices, (V, 3) float, mm, and the triangles, (F, 3) int32, as indices of vertices, counterclockwise seen
        from outside. Both are empty if the masks are.
    """
    from skimage.measure import marching_cubes

    if not masks.any():
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int32)
    thickness, *spacing = np.linalg.norm(affine[:3, :3], axis=0)
    rows, columns = (np.flatnonzero(masks.any(axis=axes)) for axes in ((0, 2), (0, 1)))
    cut = masks[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    cut = np.pad(cut, ((0, 0), (_PADDING, _PADDING), (_PADDING, _PADDING)))
    inside, outside = (distance_transform(part, spacing=tuple(spacing)) for part in (cut, 1 - cut))
    distances = np.clip(inside - outside, -thickness, thickness)  # in an empty slice, the surface is one slice away

    layers = max(1, round(thickness / np.mean(spacing)))
    # of the interpolated layers, in slices
    positions = np.arange(-_PADDING, len(cut) * layers + _PADDING) / layers + (0.5 / layers - 0.5)
    last = len(cut) - 1
    below = np.clip(np.floor(positions).astype(int), 0, max(0, last - 1))
    weight = np.clip(positions - below, 0, min(1, last))[:, None, None]
    interpolated = (1 - weight) * distances[below] + weight * distances[np.minimum(below + 1, last)]
    ends = thickness * np.minimum(positions + 0.5, last + 0.5 - positions)
    field = np.minimum(interpolated, ends[:, None, None])
    field = gaussian_filter(field, [_SIGMA * layers / thickness, *(_SIGMA / side for side in spacing)])
    if field.max() <= 0:  # a few pixels, which the filter removes
        return np.empty((0, 3)), np.empty((0, 3), dtype=np.int32)
    vertices, triangles, _, _ = marching_cubes(field, 0)
    vertices[:, 0] = positions[0] + vertices[:, 0] / layers
    vertices[:, 1:] += np.array([rows[0], columns[0]]) - _PADDING
    order = 1 if np.linalg.det(affine[:3, :3]) < 0 else -1
    return vertices @ affine[:3, :3].T + affine[:3, 3], triangles[:, ::order].astype(np.int32)


def write_view(
    path: Path, masks: Mapping[str, np.ndarray], affine: np.ndarray, name: str, facts: Mapping[str, str]
) -> None:
    """Write the page, whose buttons show and hide the prediction and the truth, the surface and the points.

    Args:
        path: The HTML file to write. It has about 6 MB, since it contains Plotly.
        masks: "prediction", and "truth" if it is known: (T, H, W) uint8, 0 or 1.
        affine: (4, 4) float, from (slice, row, column) to mm in the directions right, anterior and superior.
        name: The title of the page.
        facts: Values to show beside the title, by name.

    Raises:
        ModuleNotFoundError: Plotly or scikit-image is not installed.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout={"showlegend": False, "margin": dict.fromkeys("lrtb", 0), "scene": _SCENE})
    for source, mask in masks.items():
        (x, y, z), (i, j, k) = (part.T for part in surface(mask, affine.astype(np.float32)))
        mesh = {"x": x, "y": y, "z": z, "i": i, "j": j, "k": k, "color": COLOURS[source], "opacity": _OPACITIES[source]}
        figure.add_mesh3d(**mesh, **_LIGHT, meta=[source, "surface"])
        x, y, z = border_points(mask, affine.astype(np.float32)).T
        dots = {"size": 2.5, "color": COLOURS[source]}
        figure.add_scatter3d(x=x, y=y, z=z, mode="markers", marker=dots, meta=[source, "points"], visible=False)
    figure.update_traces(hoverinfo="x+y+z")
    drawing = figure.to_html(full_html=False, include_plotlyjs=True, div_id="view", config={"displaylogo": False})
    page = TEMPLATES.get_template("view3d.html").render(
        name=name, facts=facts, masks=masks, colours=COLOURS, drawing=drawing
    )
    path.write_text(page, encoding="utf-8")
