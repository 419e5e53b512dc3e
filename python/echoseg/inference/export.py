"""A run for others to use: as one graph without echoseg, or as a folder in the shape of the Hugging Face hub.

The graph takes uint8 frames of the network's size, cut to its field if it has one; normalisation and decoding are
inside. It leaves out what a run knows beside its network: impossible outlines are not pulled back, and there are no
intervals.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop
from echoseg.inference.predictor import CALIBRATION, SHAPES, load
from echoseg.models.codec import THRESHOLD
from echoseg.models.traceable import Traceable
from echoseg.phantom.patient import Patient
from echoseg.training.checkpoint import BEST, CONFIG, load_run
from echoseg.training.config import Config
from echoseg.utils.files import replace_file

TOLERANCE = 1e-4  # of a pixel, or of a probability
_PATIENTS = 8
Graph = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def export_graph(run: Path, out: Path, *, format: str) -> float:
    """Write a run's network with its decoding as one file, and compare what that file says with the run itself.

    Args:
        run: folder that ``echoseg train`` wrote.
        out: file to write.
        format: a name in ``FORMATS``.

    Returns:
        The largest difference on frames of noise and of phantoms: pixels of landmarks, or probability of masks.

    Raises:
        DataError: no run, packages are missing, or the file says something else than the run; then it is not kept.
        FileExistsError: ``out`` exists.
        ValueError: an unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    config, model, codec = load_run(run)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # as archives like it
    graph = Traceable(model, codec).eval().requires_grad_(False)
    batch = torch.export.Dim("batch", min=1)
    example = torch.zeros((2, *config.size), dtype=torch.uint8)
    program = torch.export.export(graph, (example,), dynamic_shapes=({0: batch},))
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)  # it names folders of this machine
    facts = {
        "echoseg": version("echoseg"),
        "approach": config.approach,
        "scheme": config.scheme or "",
        "fov_mm": f"{config.fov_mm or ''}",
    }
    save, open_graph = FORMATS[format]
    out.parent.mkdir(parents=True, exist_ok=True)
    worst = 0.0

    def write(temporary: Path) -> None:
        nonlocal worst
        save(program, graph.outputs, facts, temporary)
        worst = _compare(run, config, open_graph(temporary))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporters warn of their own ways
        replace_file(out, write)
    return worst


def write_repository(run: Path, folder: Path, card: str) -> None:
    """Fill a folder in the shape of a Hugging Face model repository, which ``echoseg.load`` opens as it does a run.

    Args:
        run: folder that ``echoseg train`` wrote.
        folder: exists, empty.
        card: Markdown, becomes ``README.md``; see ``report.card``.

    Raises:
        DataError: no run, or a damaged file in it.
    """
    config = dataclasses.replace(load_run(run)[0], data=None, corrections=None)  # paths of this machine
    config.save(folder / CONFIG)
    facts = {"library_name": "echoseg", "echoseg_version": version("echoseg"), **dataclasses.asdict(config)}
    (folder / "config.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    for name in (BEST, CALIBRATION, SHAPES):
        if (run / name).exists():
            (folder / name).write_bytes((run / name).read_bytes())  # copyfile's error names the source
    load(folder, device="cpu")


def _compare(run: Path, config: Config, graph: Graph) -> float:
    """The largest difference between a graph and the run, a frame alone and many."""
    predictor = load(run, device="cpu", regularize=False)
    phantoms = [Patient(0, i) for i in range(_PATIENTS)]
    beats = np.stack([patient.frame(number) for patient in phantoms for number in (patient.ed, patient.es)])
    noise = np.random.default_rng(0).integers(0, 256, (2 * _PATIENTS, *config.size), dtype=np.uint8)
    worst = 0.0
    phantom_frames = Crop(Box(0, 0, *beats.shape[1:]), config.size).frames(beats)
    for frames in (phantom_frames, noise, noise[:1]):
        expected, said = predictor(frames), graph(np.ascontiguousarray(frames))
        if expected.landmarks is not None:
            difference = np.abs(said[0] - expected.landmarks).max()
        else:
            wrong = said[0] != (said[1] > THRESHOLD)
            difference = np.maximum(np.abs(said[1] - expected.probabilities), wrong).max()
        worst = max(worst, float(difference))
    if not worst <= TOLERANCE:
        raise DataError(
            f"the exported graph differs from the run by {worst:.2g}, more than {TOLERANCE}; nothing was kept"
        )
    return worst


def _save_onnx(
    program: torch.export.ExportedProgram, outputs: tuple[str, ...], facts: dict[str, str], path: Path
) -> None:
    _need_onnx()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of operators that nobody asked for
    exported = torch.onnx.export(
        program,
        input_names=["frames"],
        output_names=outputs,
        dynamic_shapes=({0: "batch"},),
        dynamo=True,
        verbose=False,
    )
    assert exported is not None
    exported.model.metadata_props.update(facts)
    exported.save(path, external_data=False)


def _open_onnx(path: Path) -> Graph:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda frames: tuple(session.run(None, {"frames": frames}))


def _need_onnx() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            importlib.import_module(name)
        except ImportError:
            raise DataError(f"ONNX needs {name}; pip install 'echoseg[export]'") from None


def _save_torch(
    program: torch.export.ExportedProgram, outputs: tuple[str, ...], facts: dict[str, str], path: Path
) -> None:
    facts = {**facts, "outputs": " ".join(outputs)}
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={"echoseg.json": json.dumps(facts)})


def _open_torch(path: Path) -> Graph:
    with path.open("rb") as file:
        graph = torch.export.load(file).module()
    return lambda frames: tuple(part.numpy() for part in graph(torch.from_numpy(frames)))


FORMATS = {"onnx": (_save_onnx, _open_onnx), "torch": (_save_torch, _open_torch)}
