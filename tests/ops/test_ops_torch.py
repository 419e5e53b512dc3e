from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest
import torch

from echoseg import ops
from echoseg.ops._torch import OPERATORS

SIZE = (40, 70)
CONTOURS = torch.rand(5, 12, 2, generator=torch.Generator().manual_seed(0)) * 50
LANDMARKS = torch.rand(5, 3, 2, generator=torch.Generator().manual_seed(1)) * 50


def draw_and_decode(contours, landmarks):
    mask = ops.fill_polygons(contours, SIZE, rule="opencv")
    band = ops.border_band(mask, iterations=2)
    heatmaps = ops.render_heatmaps(landmarks, SIZE, band=band, radius=9)
    points, confidence = ops.decode_heatmaps(heatmaps)
    targets = ops.render_targets(contours, landmarks, SIZE)
    areas = ops.fill_polygons(contours, SIZE, rule="coverage")
    about = ops.border_band_from_contours(contours, SIZE, kernel_size=5)
    distances = ops.distance_transform(mask, spacing=(0.5, 2)), *ops.surface_distances(mask, band)
    near = ops.normalized_surface_dice(mask, band, tolerance=2.5)
    return (
        mask,
        band,
        heatmaps,
        points,
        confidence,
        ops.dilate(mask),
        ops.erode(mask),
        areas,
        about,
        *targets,
        *distances,
        near,
    )


def test_torch_equals_numpy():
    drawn = draw_and_decode(CONTOURS, LANDMARKS)
    assert all(isinstance(array, torch.Tensor) for array in drawn)
    for tensor, array in zip(drawn, draw_and_decode(CONTOURS.numpy(), LANDMARKS.numpy()), strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array)


def test_out_is_not_copied():
    out = torch.full((5, *SIZE), 9, dtype=torch.uint8)
    address = out.data_ptr()
    assert ops.fill_polygons(CONTOURS, SIZE, out=out) is out
    assert out.data_ptr() == address
    assert torch.equal(out, ops.fill_polygons(CONTOURS, SIZE))


def test_ragged_tensors():
    offsets = torch.arange(6) * 12
    assert torch.equal(
        ops.fill_polygons(CONTOURS.reshape(-1, 2), SIZE, offsets=offsets), ops.fill_polygons(CONTOURS, SIZE)
    )
    with pytest.raises(ValueError, match="offsets must run from 0 to 60"):
        ops.fill_polygons(CONTOURS.reshape(-1, 2), SIZE, offsets=offsets + 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Guards may run slower")  # of torch
def test_compile_in_one_graph():
    compiled = torch.compile(draw_and_decode, fullgraph=True, backend="aot_eager")
    for a, b in zip(compiled(CONTOURS, LANDMARKS), draw_and_decode(CONTOURS, LANDMARKS), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_operators_pass_opcheck():
    masks, band = torch.zeros((2, 5, *SIZE), dtype=torch.uint8)
    heatmaps, areas = torch.zeros((5, 3, *SIZE)), torch.zeros((5, *SIZE))
    hd95, assd = torch.zeros((2, 5), dtype=torch.float64)
    points, confidence = torch.zeros((5, 3, 2)), torch.zeros((5, 3))
    element, heatmap = (3, "rect", 1), ("gaussian", 4.0, 9.0)
    contours = CONTOURS, SIZE, None, "center"
    arguments = {
        "fill_polygons": (*contours, masks),
        "dilate": (masks, *element, band),
        "erode": (masks, *element, band),
        "border_band": (masks, *element, band),
        "border_band_from_contours": (*contours, *element, band),
        "render_heatmaps": (LANDMARKS, SIZE, *heatmap, masks, "float32", heatmaps, None),
        "render_targets": (
            *(CONTOURS, LANDMARKS, SIZE, None, "center"),
            *(*element, *heatmap, "float32", masks, band, heatmaps, None),
        ),
        "decode_heatmaps": (heatmaps, "argmax", 5.0, points, confidence),
        "distance_transform": (masks, None, areas),
        "surface_distances": (masks, band, (0.5, 2.0), hd95, assd),
        "normalized_surface_dice": (masks, band, 1.5, (0.5, 2.0), hd95),
    }
    assert set(arguments) == set(OPERATORS)
    for name, values in arguments.items():
        torch.library.opcheck(getattr(torch.ops.echoseg, name).default, values)


def test_invalid_tensors():
    with pytest.raises(ValueError, match=r"points must be contiguous; call .contiguous\(\)"):
        ops.fill_polygons(CONTOURS[:, ::2], SIZE)
    with pytest.raises(TypeError, match="points must be float32, not float64"):
        ops.fill_polygons(CONTOURS.double(), SIZE)
    with pytest.raises(TypeError, match="out must be of the same framework"):
        ops.fill_polygons(CONTOURS, SIZE, out=np.empty((5, *SIZE), np.uint8))
    with pytest.raises(ValueError, match="points is on meta, but the kernels run on the CPU and on CUDA"):
        ops.fill_polygons(CONTOURS.to("meta"), SIZE)
    with pytest.raises(ValueError, match="must be finite"):
        ops.fill_polygons(CONTOURS * float("nan"), SIZE)
    raw = torch.zeros(5 * 12 * 2 * 4 + 4, dtype=torch.uint8)
    shifted = torch.frombuffer(raw.numpy()[1:-3], dtype=torch.float32).reshape(5, 12, 2)
    with pytest.raises(ValueError, match="must be aligned"):
        ops.fill_polygons(shifted, SIZE)


def test_numpy_works_without_torch():
    program = """
import sys
import types
import numpy as np
from echoseg import ops
mask = ops.fill_polygons(np.random.rand(2, 9, 2).astype(np.float32) * 20, (20, 20))
ops.render_targets(np.zeros((2, 9, 2), np.float32), np.zeros((2, 3, 2), np.float32), (8, 8))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_arrays_of_a_subclass_while_torch_is_imported(monkeypatch):
    masks = np.ones((1, 8, 8), np.uint8).view(type("Subclass", (np.ndarray,), {}))
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))  # as while another thread imports it
    np.testing.assert_array_equal(ops.dilate(masks), masks)
