"""Exported graphs and repositories give the output of the run."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import torch

import echoseg
from echoseg.errors import DataError
from echoseg.inference import export
from echoseg.inference.export import TOLERANCE, export_graph, write_repository
from echoseg.models.codec import THRESHOLD
from echoseg.models.traceable import TRACEABLE_DECODERS
from echoseg.ops import decode_heatmaps
from echoseg.training import checkpoint
from echoseg.training.config import DECODERS, Config

pytestmark = pytest.mark.slow


def write_run(folder, **settings):
    """Write an untrained run. Its weights are scaled so that heatmaps have sharp peaks, as after training."""
    config = Config(**{"size": (32, 48), "width": 4, "depth": 2, "landmarks": 5, "scheme": "arc", **settings})
    torch.manual_seed(0)
    model, _ = checkpoint.build(config)
    with torch.no_grad():
        model.head.weight *= 50
    folder.mkdir()
    config.save(folder / checkpoint.CONFIG)
    checkpoint.save_weights(folder / checkpoint.BEST, model)
    return folder


def gaussians(count, size, sigma, seed):
    random = np.random.default_rng(seed)
    x, y = random.uniform(-2, size[1] + 1, (count, 1, 1)), random.uniform(-2, size[0] + 1, (count, 1, 1))
    rows, columns = np.mgrid[: size[0], : size[1]]
    maps = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    return (maps + 0.05 * random.uniform(0, 1, maps.shape)).astype(np.float32)[None]


@pytest.mark.parametrize("method", DECODERS)
@pytest.mark.parametrize("window", [0.7, 5.0, 100.0])
def test_torch_decoders_equal_the_kernels(method, window):
    for seed, (size, sigma) in enumerate((((31, 44), 2.5), ((9, 6), 1.0), ((5, 5), 3.0))):
        heatmaps = gaussians(40, size, sigma, seed)
        heatmaps[0, 0] = 1
        heatmaps[0, 1] = heatmaps[0, 1] == heatmaps[0, 1].max()
        tensor = torch.from_numpy(heatmaps)
        top = tensor.flatten(2).argmax(2)
        x, y = (top % size[1]).double(), (top // size[1]).double()
        actual = torch.stack(TRACEABLE_DECODERS[method](tensor.double(), x, y, window), dim=2).numpy()
        expected, _ = decode_heatmaps(heatmaps, method=method, window=window)
        np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_every_method_can_be_exported():
    assert set(TRACEABLE_DECODERS) == set(DECODERS)


@pytest.mark.parametrize(
    ("approach", "format", "network"),
    [
        ("mask", "onnx", "resunet"),
        ("mask", "torch", "unet"),
        ("landmark", "onnx", "unet"),
        ("landmark", "torch", "resunet"),
    ],
)
def test_graph_gives_the_output_of_the_run(tmp_path, approach, format, network):
    run, out = write_run(tmp_path / "run", approach=approach, network=network), tmp_path / "new" / "graph"
    assert 0 <= export_graph(run, out, format=format) <= TOLERANCE
    assert [path.name for path in out.parent.iterdir()] == ["graph"]
    graph = export.FORMATS[format][1](out)
    predictor = echoseg.load(run, device="cpu")
    for count in (1, 3):
        frames = np.random.default_rng(count).integers(0, 256, (count, 32, 48), dtype=np.uint8)
        expected = predictor(frames)
        if approach == "mask":
            masks, probabilities = graph(frames)
            np.testing.assert_allclose(probabilities, expected.probabilities, atol=TOLERANCE)
            np.testing.assert_array_equal(masks, probabilities > THRESHOLD)
        else:
            np.testing.assert_allclose(graph(frames)[0], expected.landmarks, atol=TOLERANCE)
    assert str(tmp_path).encode() not in out.read_bytes()
    assert b"site-packages" not in out.read_bytes()
    with pytest.raises(FileExistsError, match="graph"):
        export_graph(run, out, format=format)


def test_graph_that_differs_is_removed(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", approach="mask")
    save, open_graph = export.FORMATS["torch"]

    def open_wrong(path):
        graph = open_graph(path)
        return lambda frames: (graph(frames)[0], graph(frames)[1] + 2 * TOLERANCE)

    monkeypatch.setitem(export.FORMATS, "torch", (save, open_wrong))
    with pytest.raises(DataError, match="differs"):
        export_graph(run, tmp_path / "graph.pt2", format="torch")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_error_names_missing_packages_and_known_formats(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", approach="mask")
    with pytest.raises(ValueError, match="onnx, torch"):
        export_graph(run, tmp_path / "out", format="tflite")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DataError, match=r"echoseg\[export\]"):
        export_graph(run, tmp_path / "out", format="onnx")


def test_repository_predicts_like_the_run(tmp_path):
    run = write_run(tmp_path / "run", **{name: str(tmp_path / "somebody" / name) for name in ("data", "corrections")})
    folder = tmp_path / "repository"
    folder.mkdir()
    write_repository(run, folder, "# card\n")
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "config.yaml", "model.safetensors"}
    for path in folder.glob("*.*[ln]"):
        assert "somebody" not in path.read_text()
    frames = np.random.default_rng(0).integers(0, 256, (2, 50, 60), dtype=np.uint8)
    expected, actual = (echoseg.load(path, device="cpu")(frames) for path in (run, folder))
    for field in dataclasses.fields(expected):
        np.testing.assert_equal(getattr(actual, field.name), getattr(expected, field.name))
