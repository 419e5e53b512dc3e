"""Export a run as a graph that works without echoseg, or as a model repository for the Hugging Face Hub.

The graph takes uint8 frames of the network's size, cropped to the field of view if the run has one. Normalization and
decoding are part of the graph; `echoseg.inference.graph_description` lists what its metadata say. The shape model, the
calibration of the landmarks and the smoothing over time are not part of it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop
from echoseg.inference.graph_description import describe_graph
from echoseg.inference.predictor import OPTIONAL_FILES, load
from echoseg.models.codec import THRESHOLD
from echoseg.models.traceable import Traceable
from echoseg.phantom.patient import Patient
from echoseg.training.checkpoint import BEST, CONFIG, load_run, read_weights, write_weights
from echoseg.training.config import Config
from echoseg.training.config_file import private_settings
from echoseg.training.splits import NO_TEST
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import replace_file

TOLERANCE = 1e-4
"""Largest difference between a run and its graph: pixels of landmarks, or probability."""
_PHANTOMS = 8
Graph = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def export_graph(run: Path, out: Path, *, format: str, facts: Mapping[str, str] | None = None) -> float:
    """Write the network of a run with its decoding to one file, and compare its output with that of the run.

    Args:
        run: The run folder.
        out: The file to write.
        format: A name in `FORMATS`.
        facts: More metadata by name, such as the result of `echoseg.report.card.card_facts`.

    Returns:
        The largest difference on frames of noise and of phantoms: pixels of landmarks, or probability of masks.

    Raises:
        DataError: There is no run, a package is missing, or the difference exceeds `TOLERANCE`. In the last case the
            file is removed.
        FileExistsError: `out` exists.
        ValueError: The format is unknown.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    config, model, codec = load_run(run)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    graph = Traceable(model, codec).eval().requires_grad_(False)
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros((2, *config.size), dtype=torch.uint8)
    program = torch.export.export(graph, (example,), dynamic_shapes=({0: batch},))
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it contains paths of this machine
    metadata = {**(facts or {}), **describe_graph(run, config)}
    save, open_graph = FORMATS[format]
    out.parent.mkdir(parents=True, exist_ok=True)
    largest = 0.0

    def write(temporary: Path) -> None:
        nonlocal largest
        save(program, graph.outputs, metadata, temporary)
        largest = _compare(run, config, open_graph(temporary))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about internals of the exporters
        replace_file(out, write)
    return largest


def write_repository(run: Path, folder: Path, card: str, data: str | None) -> None:
    """Write the files of a Hugging Face model repository. `echoseg.load` opens the folder like a run.

    Settings that name folders or a patient are left out. A repository whose test split was one patient has none. The
    rule for names, `patients`, is kept, since the data are read by it.

    Args:
        run: The run folder.
        folder: An empty folder.
        card: The model card, Markdown, written to `README.md`; see `echoseg.report.card`.
        data: The name of the data set that the run was trained on; None if it was synthetic.

    Raises:
        DataError: There is no run, or one of its files is damaged.
    """
    trained = load_run(run)[0]
    hidden: dict[str, Any] = dict.fromkeys(set(private_settings(trained)) - {"patients"})
    if "test_fold" in hidden:
        hidden["test_fold"] = NO_TEST
    config = dataclasses.replace(trained, **hidden, data=None if data is None else f"/{data}")
    config.save(folder / CONFIG)
    tensors, of_weights = read_weights(run / BEST)
    values = config.values()
    of_weights["settings"] = {name: values[name] for name in of_weights.get("settings", {})}
    write_weights(folder / BEST, tensors, of_weights)
    metadata = {"library_name": "echoseg", "echoseg_version": version("echoseg"), **dataclasses.asdict(config)}
    (folder / "config.json").write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    for name in OPTIONAL_FILES:
        if (run / name).exists():
            (folder / name).write_bytes((run / name).read_bytes())  # errors of copyfile name the wrong file
    measured = run / "metrics.json"
    if measured.exists():
        metrics = json.loads(measured.read_text(encoding="utf-8"))
        for split, entry in metrics.items():
            numbers = {name: value for name, value in entry.items() if name not in ("data", "seconds", "checksum")}
            metrics[split] = add_checksum(numbers)
        (folder / measured.name).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    load(folder, device="cpu")


def _compare(run: Path, config: Config, graph: Graph) -> float:
    """The largest difference between a graph and its run, on batches of several frames and of one frame.

    Raises:
        DataError: The difference exceeds `TOLERANCE`.
    """
    predictor = load(run, device="cpu")
    patients = [Patient(0, i) for i in range(_PHANTOMS)]
    phantoms = np.stack([patient.frame(number) for patient in patients for number in (patient.ed, patient.es)])
    phantoms = Crop(Box(0, 0, *phantoms.shape[1:]), config.size).frames(phantoms)
    noise = np.random.default_rng(0).integers(0, 256, (2 * _PHANTOMS, *config.size), dtype=np.uint8)
    largest = 0.0
    for frames in (phantoms, noise, noise[:1]):
        expected, outputs = predictor(frames), graph(np.ascontiguousarray(frames))
        if expected.landmarks is not None:
            difference = np.abs(outputs[0] - expected.landmarks).max()
        else:
            wrong = outputs[0] != (outputs[1] > THRESHOLD)
            difference = np.maximum(np.abs(outputs[1] - expected.probabilities), wrong).max()
        largest = max(largest, float(difference))
    if not largest <= TOLERANCE:
        raise DataError(
            f"the exported graph differs from the run by {largest:.2g}, more than {TOLERANCE}; no file was written"
        )
    return largest


def _save_onnx(
    program: torch.export.ExportedProgram, outputs: tuple[str, ...], metadata: dict[str, str], path: Path
) -> None:
    _require_onnx()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns about operators of torchvision
    exported = torch.onnx.export(
        program,
        input_names=["frames"],
        output_names=outputs,
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
    )
    assert exported is not None
    exported.model.metadata_props.update(metadata)
    exported.save(path, external_data=False)


def _open_onnx(path: Path) -> Graph:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda frames: tuple(session.run(None, {"frames": frames}))


def _require_onnx() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        DataError: A package is missing.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            importlib.import_module(name)
        except ImportError:
            raise DataError(f"format 'onnx' needs the package {name}; pip install 'echoseg[export]'") from None


def _save_torch(
    program: torch.export.ExportedProgram, outputs: tuple[str, ...], metadata: dict[str, str], path: Path
) -> None:
    metadata = {**metadata, "outputs": " ".join(outputs)}
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={"echoseg.json": json.dumps(metadata)})


def _open_torch(path: Path) -> Graph:
    with path.open("rb") as file:
        graph = torch.export.load(file).module()
    return lambda frames: tuple(output.numpy() for output in graph(torch.from_numpy(frames)))


FORMATS = {"onnx": (_save_onnx, _open_onnx), "torch": (_save_torch, _open_torch)}
"""Functions that save and open a graph, by name of the format."""
