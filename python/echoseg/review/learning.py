"""Learns from the corrections while the page is open.

The commands `train` and `compare` run in processes of their own, so that the page stays usable. With corrected frames
of two patients or more, each patient is left out of one training, and the networks before and after are compared on
the patients that were left out. The network after is the ensemble of these trainings. Images from which the network
before has learned are mixed in, so that it does not forget them.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from echoseg.datasets.store import Store, prepare
from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError
from echoseg.models.weights import weights_folder
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.session_export import export_session
from echoseg.training.config import PHANTOM
from echoseg.training.training_sets import add_rehearsed

IMAGES = 2400
"""The number of new images that a training sees: that of the measurements in docs/correcting.md."""
MAX_FOLDS = 3
_SHARED_SETTINGS = (
    *("approach", "size", "fov_mm", "structure", "network", "width", "depth", "norm", "dropout", "attention", "skips"),
    *("landmarks", "scheme", "outline", "heatmap", "sigma", "radius", "band_kernel", "band_iterations", "decode"),
    *("bottleneck", "loss"),
)
"""Settings of the network before that the trainings share; the plan chooses the others."""
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from echoseg.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class LearningState:
    """How far the learning is.

    Attributes:
        stage: "idle", "training", "comparing", "done", "stopped" or "failed".
        progress: Of the trainings, from 0 to 1.
        seconds_left: Estimated time until the trainings end; None if unknown.
        message: Why it failed, or what is to be known of the result.
        left_out: Which files it has not learned from, and why.
        run: The folder of the network after; "" until it is trained.
        verdict: The comparison on the patients that were left out: "images", "patients", and the mean Dice "before" and
            "after", with their "difference" and the ends "low" and "high" of its 95 % interval. None without a
            comparison.
    """

    stage: str = "idle"
    progress: float = 0.0
    seconds_left: float | None = None
    message: str = ""
    left_out: str = ""
    run: str = ""
    verdict: dict[str, float | None] | None = None


class Learning:
    """Trains on the corrected and accepted frames of all clips, one training at a time.

    Args:
        clips: The clips of the review.
        corrections: What the person did with them.
        run: The run folder of the network before; None for the network that ships.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
    """

    def __init__(self, clips: Clips, corrections: CorrectionsFolder, *, run: Path | None, device: str) -> None:
        self._clips, self._corrections, self._before, self._device = clips, corrections, run, device
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self.state = LearningState()

    def start(self) -> None:
        """Begin to learn in the background.

        Raises:
            DataError: It is learning already, the network is an ensemble, or no frame is corrected or accepted.
            OSError: The frames cannot be written.
        """
        if self._clips.predictor.config.folds is not None:
            raise DataError("the network of this page is an ensemble; open the page with the run of one of its folds")
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                raise DataError("the network is learning already")
            folder = _free_folder(self._corrections.folder)
            try:
                session = export_session(self._clips, self._corrections, folder / "data")
            except BaseException:
                folder.rmdir()
                raise
            self._stopping.clear()
            self.state = LearningState("training")
            self._thread = threading.Thread(target=self._learn, args=(folder, "; ".join(session.left_out)))
            self._thread.start()

    def stop(self) -> None:
        """Stop learning, and wait until it has stopped."""
        self._stopping.set()
        process, thread = self._process, self._thread
        if process is not None:
            with contextlib.suppress(OSError):
                process.terminate()
        if thread is not None:
            thread.join()

    def _learn(self, folder: Path, left_out: str) -> None:
        try:
            folds = self._write_settings(folder)
            run = folder / "run"
            self._train(folder, run, max(1, folds))
            self.state = LearningState("comparing", 1.0, run=str(run))
            done = self._compare(folder, run) if folds else LearningState("done", 1.0, run=str(run))
            self.state = replace(done, left_out=left_out)
        except (DataError, OSError) as error:
            is_stopped = self._stopping.is_set()
            self.state = LearningState("stopped") if is_stopped else LearningState("failed", message=str(error))

    def _write_settings(self, folder: Path) -> int:
        """Write the settings of the trainings. Returns the number of folds; 0 if there is one patient only."""
        config = self._clips.predictor.config
        store = prepare(folder / "data", size=config.size, fov_mm=config.fov_mm, structure=config.structure)
        folds = min(MAX_FOLDS, store.samples["patient"].nunique())
        settings = {name: value for name, value in config.values().items() if name in _SHARED_SETTINGS}
        init = "shipped" if self._before is None else str(self._before.absolute())
        settings |= {"init": init, "device": self._device, "validation": "none"}
        if folds < 2:
            folds, images = 0, float(len(store))
            settings["test_fold"] = "none"
        else:
            images = len(store) * (folds - 1) / folds
            settings["folds"] = folds
        settings["epochs"] = math.ceil(IMAGES / images)
        settings["rehearse"] = self._rehearsed(store)
        (folder / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        return folds

    def _rehearsed(self, store: Store) -> str | None:
        """The data of the network before, if some of them can be mixed into a training on `store`."""
        config = self._clips.predictor.config
        if self._before is None or config.data is None:
            is_possible = store.structure == LEFT_VENTRICLE and (config.approach == "mask" or store.has_chords)
            return PHANTOM if is_possible else None
        try:
            add_rehearsed(store, prepare(config.data, **config.store_options), config)
        except (DataError, OSError):  # they have been moved, or all of them are reviewed
            return None
        return config.data

    def _train(self, folder: Path, run: Path, trainings: int) -> None:
        started, finished = time.monotonic(), 0
        inputs: list[str | Path] = ["--config", folder / "settings.yaml", "--data", folder / "data"]
        for event in self._run("train", *inputs, "--out", run, "--log", "json"):
            if "step" not in event:
                continue
            share = event["step"] / event["steps"]
            progress = min(1.0, (finished + share) / trainings)
            finished += share == 1
            seconds_left = (time.monotonic() - started) * (1 - progress) / progress if progress else None
            self.state = LearningState("training", progress, seconds_left)

    def _compare(self, folder: Path, run: Path) -> LearningState:
        out = folder / "compared"
        options: list[str | Path] = ["--data", folder / "data", "--split", "all", "--device", self._device]
        network = self._before or weights_folder(self._clips.predictor.config.approach)
        try:
            for _ in self._run("compare", network, run, *options, "--out", out):
                pass
        except DataError as error:  # such as that the network before has learned from these patients
            message = "the comparison was stopped" if self._stopping.is_set() else str(error)
            return LearningState("done", 1.0, message=message, run=str(run))
        with (out / "comparison.csv").open(newline="", encoding="utf-8") as table:
            before, after = (row for row in csv.DictReader(table) if row["measure"] == "dice")
        columns = {"images": "cases", "patients": "patients", "after": "mean"}
        columns |= {"difference": "difference", "low": "difference_low", "high": "difference_high"}
        verdict = {name: float(after[column]) if after[column] else None for name, column in columns.items()}
        return LearningState("done", 1.0, run=str(run), verdict={"before": float(before["mean"]), **verdict})

    def _run(self, *command: str | Path) -> Iterator[dict[str, Any]]:
        """Run a command of echoseg. Yields what it reports as JSON.

        Raises:
            DataError: It failed, or was stopped.
        """
        arguments = [sys.executable, "-I", "-c", _CODE, json.dumps(sys.path), *map(str, command)]
        with subprocess.Popen(
            arguments,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C goes to the page only
        ) as process:
            self._process = process
            if self._stopping.is_set():
                process.terminate()
            last = ""
            assert process.stderr is not None
            for line in process.stderr:
                last = line.strip() or last
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        yield event
        self._process = None
        if process.returncode or self._stopping.is_set():
            raise DataError(last.removeprefix("echoseg: ") or f"{command[0]} ended with {_ending(process.returncode)}")


def _ending(code: int) -> str:
    """The name of a signal, or an exit code."""
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


def _free_folder(corrections: Path) -> Path:
    """A folder beside that of the corrections, which is made."""
    number = 1
    while True:
        folder = corrections.absolute().with_name(f"{corrections.name}-learned-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
        number += 1
