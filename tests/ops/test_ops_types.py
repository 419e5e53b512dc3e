"""Static types of the public operators, checked by mypy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import echoseg

ROOT = Path(__file__).parents[2]
PROGRAM = """
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import assert_type

from echoseg import ops

contours, masks = np.zeros((1, 9, 2), np.float32), np.zeros((1, 8, 8), np.uint8)
offsets = np.zeros(2, np.int64)
assert_type(ops.fill_polygons(contours, (8, 8), offsets=offsets, out=masks), NDArray[Any])
assert_type(ops.dilate(masks), NDArray[Any])
assert_type(ops.erode(masks), NDArray[Any])
assert_type(ops.border_band(masks), NDArray[Any])
assert_type(ops.border_band_from_contours(contours, (8, 8)), NDArray[Any])
assert_type(ops.render_heatmaps(contours, (8, 8), band=masks), NDArray[Any])
assert_type(ops.decode_heatmaps(contours), tuple[NDArray[Any], NDArray[Any]])
assert_type(ops.distance_transform(masks, out=contours), NDArray[Any])
assert_type(ops.surface_distances(masks, masks, spacing=(0.5, 0.5)), tuple[NDArray[Any], NDArray[Any]])
assert_type(ops.normalized_surface_dice(masks, masks, tolerance=1, out=contours), NDArray[Any])
assert_type(ops.render_targets(contours, contours, (8, 8)), ops.Targets)

tensor = torch.zeros(1, 9, 2)
assert_type(ops.fill_polygons(tensor, (8, 8), offsets=tensor, out=tensor), torch.Tensor)
assert_type(ops.dilate(tensor), torch.Tensor)
assert_type(ops.erode(tensor), torch.Tensor)
assert_type(ops.border_band(tensor), torch.Tensor)
assert_type(ops.border_band_from_contours(tensor, (8, 8)), torch.Tensor)
assert_type(ops.render_heatmaps(tensor, (8, 8), band=tensor), torch.Tensor)
assert_type(ops.decode_heatmaps(tensor), tuple[torch.Tensor, torch.Tensor])
assert_type(ops.distance_transform(tensor), torch.Tensor)
assert_type(ops.surface_distances(tensor, tensor), tuple[torch.Tensor, torch.Tensor])
assert_type(ops.normalized_surface_dice(tensor, tensor, tolerance=1.5), torch.Tensor)
assert_type(ops.render_targets(tensor, tensor, (8, 8)), ops.Targets)

ops.fill_polygons([[0.0, 0.0]], (8, 8))  # type: ignore[type-var]
ops.fill_polygons(contours, 8)  # type: ignore[arg-type]
ops.dilate(masks, out=[])  # type: ignore[arg-type]
"""


@pytest.mark.slow
def test_types(tmp_path):
    """Every line has the expected type, and unexpected arguments are errors."""
    pytest.importorskip("mypy", reason="part of [dev]")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    source = Path(echoseg.__file__).parents[1]
    path = {} if "site-packages" in source.parts else {"MYPYPATH": str(source)}
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", program]
    finished = subprocess.run(command, capture_output=True, text=True, env=os.environ | path, cwd=tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr
