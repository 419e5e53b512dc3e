"""Exported graphs and repositories give the output of the run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys

import numpy as np
import onnxruntime
import pytest
import torch

import echoseg
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.inference import export
from echoseg.inference.export import TOLERANCE, export_graph, write_repository
from echoseg.inference.predictor import EF_INTERVALS
from echoseg.metrics.conformal import EFIntervals, Offsets
from echoseg.models.codec import THRESHOLD
from echoseg.models.traceable import TRACEABLE_DECODERS
from echoseg.ops import decode_heatmaps
from echoseg.report.run_summary import read_run_summary
from echoseg.training import checkpoint
from echoseg.training.config import DECODERS, Config
from echoseg.utils.checksum import add_checksum

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


def share_near(run, frames, landmarks):
    """The share of each softmax within 2 σ of its landmark in x and y, with the parts of the pixels at the edge."""
    config, model, _ = checkpoint.load_run(run)
    with torch.inference_mode():
        logits = model(torch.from_numpy(frames)).double()
    heatmaps = torch.softmax(logits.flatten(2), dim=2).reshape(logits.shape).numpy()

    def inside(centre, size):
        pixel = np.arange(size)
        reach = np.minimum(2 * config.sigma, np.minimum(centre + 0.5, size - 0.5 - centre))[..., None]
        centre = centre[..., None]
        return (np.minimum(pixel + 0.5, centre + reach) - np.maximum(pixel - 0.5, centre - reach)).clip(0, 1)

    x, y = np.moveaxis(landmarks.astype(float), -1, 0)
    return np.einsum("nkij,nki,nkj->nk", heatmaps, inside(y, frames.shape[1]), inside(x, frames.shape[2]))


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
            masks, probabilities, confidence = graph(frames)
            np.testing.assert_allclose(confidence, expected.confidence[:, 1], atol=TOLERANCE)
            np.testing.assert_allclose(probabilities, expected.probabilities, atol=TOLERANCE)
            np.testing.assert_array_equal(masks, probabilities > THRESHOLD)
        else:
            landmarks, confidence = graph(frames)
            np.testing.assert_allclose(landmarks, expected.landmarks, atol=TOLERANCE)
            np.testing.assert_allclose(confidence, share_near(run, frames, landmarks), atol=1e-4)
    assert str(tmp_path).encode() not in out.read_bytes()
    assert b"site-packages" not in out.read_bytes()
    with pytest.raises(FileExistsError, match="graph"):
        export_graph(run, out, format=format)


def test_graph_says_what_it_is(tmp_path):
    run = write_run(tmp_path / "run", approach="landmark", scheme="anatomical", data=str(tmp_path / "somebody"))
    low, high = (-1.0, -2.0, -3.0), (5.0, 6.0, 7.0)
    EFIntervals(Offsets(low, high)).save(run / EF_INTERVALS)
    metrics = {"images": 2, "patients": 1, "dice": 0.91, "dice_ci95": [0.9, 0.92], "hd95_px": 3.0, "iou": 0.8}
    metrics |= {"empty_predictions": 0, "data": str(tmp_path / "somebody")}
    (run / "metrics.json").write_text(json.dumps({"test": metrics}))
    assert main(["export", str(run), "--format", "onnx", "--out", str(tmp_path / "graph.onnx")]) == 0
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["landmarks", "confidence"]
    described = session.get_modelmeta().custom_metadata_map
    assert "somebody" not in str(described)
    names = json.loads(described["landmarks"])
    assert names == ["apex", "right wall 1", "right annulus", "left annulus", "left wall 1"]
    assert described["outline"].startswith("cubic: a cubic spline with uniform parameters through the landmarks")
    assert "straight from landmark 2 to 3" in described["outline"]
    assert (described["input_size"], described["input_range"]) == ("32 48", "0 255")
    assert "an integer is the centre of a pixel" in described["coordinates"]
    assert described["echoseg"] == echoseg.__version__
    assert described["weights_sha256"] == hashlib.sha256((run / checkpoint.BEST).read_bytes()).hexdigest()
    intervals = json.loads(described["ef_intervals"])
    assert intervals == {"level": 0.9, "limits": [40, 55], "low": list(low), "high": list(high)}
    assert json.loads(described["metrics"])["dice"] == 0.91
    assert "foreground Dice 0.910" in described["results"]
    assert "not a medical device" in described["intended_use"]
    assert described["licence"].startswith("Of the data: Unknown.")
    assert "10 pixels" in described["confidence"]


def test_graph_of_masks_says_what_it_is(tmp_path):
    run = write_run(tmp_path / "run", approach="mask")
    export_graph(run, tmp_path / "graph", format="torch", facts={"licence": "MIT"})
    files = {"echoseg.json": ""}
    torch.export.load(tmp_path / "graph", extra_files=files)
    described = json.loads(files["echoseg.json"])
    assert described["outputs"] == "masks probabilities confidence"
    assert described["licence"] == "MIT"
    assert not described.keys() & {"landmarks", "outline", "scheme", "ef_intervals"}


def test_graph_that_differs_is_removed(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", approach="mask")
    save, open_graph = export.FORMATS["torch"]

    def open_wrong(path):
        graph = open_graph(path)
        return lambda frames: (graph(frames)[0], graph(frames)[1] + 2 * TOLERANCE, graph(frames)[2])

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
    folders = {name: str(tmp_path / "somebody" / name) for name in ("data", "corrections", "init", "rehearse")}
    run = write_run(tmp_path / "run", **folders, test_fold="somebody", patients="^(.*)_")
    folder = tmp_path / "repository"
    folder.mkdir()
    metrics = {"test": add_checksum({"dice": 0.9, "data": "somebody", "seconds": {}})}
    (run / "metrics.json").write_text(json.dumps(metrics))
    write_repository(run, folder, "# card\n", "EchoNet-Dynamic")
    files = {"README.md", "config.json", "config.yaml", "metrics.json", "model.safetensors"}
    assert {path.name for path in folder.iterdir()} == files
    summary = read_run_summary(folder)
    assert (summary.data, {**summary.metrics["test"]}) == ("EchoNet-Dynamic", {"dice": 0.9})
    for path in folder.iterdir():
        assert b"somebody" not in path.read_bytes(), path
    assert checkpoint.load_run(folder)[0].patients == "^(.*)_"
    frames = np.random.default_rng(0).integers(0, 256, (2, 50, 60), dtype=np.uint8)
    expected, actual = (echoseg.load(path, device="cpu")(frames) for path in (run, folder))
    for field in dataclasses.fields(expected):
        np.testing.assert_equal(getattr(actual, field.name), getattr(expected, field.name))
