"""Tasks that write files, small enough to be repeated for each operation at which they may fail."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from _folders import write_folder, write_video
from _reviewing import CODEC, outlines
from echoseg.datasets.store import open_store, prepare
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.archive import (
    finished_rows,
    remove_unfinished,
    segment_files,
    unfinished,
    write_results,
)
from echoseg.inference.export import write_repository
from echoseg.inference.input_files import find_input_files
from echoseg.inference.predictor import load
from echoseg.phantom.dataset import write_phantom_store
from echoseg.report.results import write_evaluation, write_prediction
from echoseg.report.run_summary import read_run_summary
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles, drawing_of
from echoseg.review.tables import FrameState
from echoseg.training import checkpoint, loop
from echoseg.training.config import Config
from echoseg.utils.files import new_folder

SETTINGS = {"width": 2, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32", "approach": "mask"}


class Task(NamedTuple):
    """A task that writes to a folder.

    Attributes:
        set_up: Writes what is in the folder before.
        run: Runs the task; repeated, it resumes or starts again.
        read: Reads the folder and describes what is in it; raises DataError if something is damaged.
    """

    set_up: Callable[[Path], object]
    run: Callable[[Path], object]
    read: Callable[[Path], str]


def make_tasks(work: Path) -> dict[str, Task]:
    """The tasks by name; their inputs are written to `work`."""
    data = write_folder(work / "data", names=("a", "b"))
    store = write_phantom_store(work / "store", patients=8, workers=1)
    videos = work / "videos"
    videos.mkdir()
    for name in "ab":
        write_video(videos / f"{name}.avi", frames=4)
    config = Config(**SETTINGS, epochs=1)
    loop.train(config, store, work / "run")
    predictor = load(work / "run", device="cpu")
    evaluation = evaluate(predictor, store, "test")
    torch.manual_seed(1)
    models = [checkpoint.build(config)[0] for _ in range(2)]
    save_first, save_second = (partial(_save_run, config, model) for model in models)

    def predict(folder: Path) -> None:
        out = folder / "out"
        out.mkdir(exist_ok=True)
        remove_unfinished(out)
        sources = find_input_files([videos], work / "run", "", out=out)
        write = partial(write_prediction, keep=["frames", "masks"])
        for _ in segment_files(unfinished(sources, out), predictor, out, write):
            pass
        write_results(sources, out, kind="csv")

    return {
        "run": Task(save_first, save_second, _read_run),
        "training": Task(_nothing, lambda folder: _train(config, store, folder / "run"), _read_training),
        "store": Task(_nothing, lambda folder: _prepare(data, folder / "store"), _read_store),
        "archive": Task(_nothing, predict, _read_archive),
        "corrections": Task(partial(_correct, shift=0.0), partial(_correct, shift=2.0), _read_corrections),
        "evaluation": Task(
            lambda folder: shutil.copytree(work / "run", folder / "run"),
            lambda folder: write_evaluation(evaluation, store, "test", folder / "run"),
            _read_evaluation,
        ),
        "repository": Task(_nothing, lambda folder: _export(work / "run", folder / "hub"), _read_repository),
    }


def _nothing(folder: Path) -> None:
    pass


def _save_run(config: Config, model: torch.nn.Module, folder: Path) -> None:
    run = folder / "run"
    if not run.exists():
        run.mkdir()
        config.save(run / checkpoint.CONFIG)
    checkpoint.save_weights(run / checkpoint.BEST, model, config)
    checkpoint.save_state(run, {"model": model.state_dict()})


def _read_run(folder: Path) -> str:
    weights = checkpoint.load_run(folder / "run")[1].state_dict()
    state = checkpoint.load_state(folder / "run")[0]["model"]
    return f"weights {_sum(weights)}, state {_sum(state)}"


def _sum(tensors: dict[str, torch.Tensor]) -> str:
    return f"{sum(float(tensor.double().sum()) for tensor in tensors.values()):.6f}"


def _train(config: Config, store, run: Path) -> None:
    loop.train(config, store, run, resume=run.exists())


def _read_training(folder: Path) -> str:
    run = folder / "run"
    if not run.exists():
        return "no run"
    if checkpoint.has_state(run):
        checkpoint.load_state(run)
    for name in (checkpoint.BEST, checkpoint.LAST):
        if (run / name).exists():
            checkpoint.load_weights(run / name, checkpoint.load_run(run)[1])
    done = (run / checkpoint.LAST).exists()
    return f"trained, {_sum(checkpoint.load_run(run)[1].state_dict())}" if done else "begun"


def _prepare(data: Path, out: Path) -> None:
    if not out.exists():
        prepare(data, out, size=(16, 16))


def _read_store(folder: Path) -> str:
    return f"{len(open_store(folder / 'store'))} images" if (folder / "store").exists() else "no store"


def _read_archive(folder: Path) -> str:
    out = folder / "out"
    for name, _ in finished_rows(out):
        if {path.name for path in (out / name).iterdir()} != {"frames.csv", "masks.tif"}:
            return f"{name} is incomplete"
    return (out / "results.csv").read_text() if (out / "results.csv").exists() else "no results"


def _correct(folder: Path, *, shift: float) -> None:
    with contextlib.closing(CorrectionsFolder(folder, drawing_of(CODEC), kind="chords")) as corrections:
        points = outlines(8)[3] + np.float32(shift)
        _, version = corrections.of("a.avi").get(3, (None, 0))
        handles = Handles(points, np.arange(5), np.zeros(5, bool))
        corrections.save("a.avi", 3, FrameState(handles), version=version, before=outlines(8)[3], effort={})


def _read_corrections(folder: Path) -> str:
    with contextlib.closing(CorrectionsFolder(folder, drawing_of(CODEC), kind="chords")) as corrections:
        points = {frame: handles.points.tolist() for frame, (handles, _) in corrections.of("a.avi").items()}
    return f"{points}, {(folder / 'audit.jsonl').read_text().count(chr(10))} lines"


def _read_evaluation(folder: Path) -> str:
    run = read_run_summary(folder / "run")
    images = run.table("images_test.csv")
    return f"{run.metrics}, {len(images)} images" if run.metrics else "not evaluated"


def _export(run: Path, out: Path) -> None:
    if not out.exists():
        with new_folder(out) as folder:
            write_repository(run, folder, "# A card", None)


def _read_repository(folder: Path) -> str:
    return _sum(checkpoint.load_run(folder / "hub")[1].state_dict()) if (folder / "hub").exists() else "none"
