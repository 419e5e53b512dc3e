"""kill -9 against a training run: whenever it strikes, the run must be resumable, and end as if nothing had happened.

    python bench/kill_sweep.py --kills 200      # minutes; Linux and macOS

A tiny run that saves its state after each step is killed again and again, in three ways by turns: at a random moment,
as soon as a half-written file is seen, and right before one of the moves that put a file in its place. After each kill
all files of the run must be whole, and the next process resumes it. What a finished run leaves must equal what an
uninterrupted one leaves, bit for bit. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from echoseg.data.phantom.dataset import write_phantom_store
from echoseg.data.store import Store
from echoseg.errors import DataError
from echoseg.training import checkpoint, loop
from echoseg.training.config import Config, load_config

SEED = 0
SETTINGS = {"width": 2, "depth": 2, "batch_size": 4, "epochs": 6, "device": "cpu", "precision": "float32"}
WAYS = ("random moment", "half-written file", "before a move")
MOST_STEPS = 8  # between two kills


class Sweep:
    """One store, one configuration, and a count that survives the process that trains."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = write_phantom_store(folder / "store", patients=16, workers=1)
        self.config = Config(**SETTINGS, checkpoint_minutes=1e-9)
        self.steps = np.frombuffer(mmap.mmap(-1, 8), np.int64)  # shared; done since the run began
        self.random = np.random.default_rng(SEED)

    def start(self, run: Path, *, deadly_move: int = 0) -> int:
        """Train, or resume, in a child process; it kills itself before the so-manieth move of a file. Gives its id."""
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            self._train(run, deadly_move)
        return child

    def _train(self, run: Path, deadly_move: int) -> NoReturn:
        step, moves = loop._Trainer._step, iter(range(1, sys.maxsize))

        def counted_step(trainer: loop._Trainer, *arguments: object) -> torch.Tensor:
            loss = step(trainer, *arguments)
            self.steps[0] = trainer.progress.epoch * len(trainer.batches) + trainer.progress.step + 1
            return loss

        def deadly(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
            def moved(path: Path, target: Path) -> Path:
                if next(moves) == deadly_move:
                    os.kill(os.getpid(), signal.SIGKILL)
                return move(path, target)

            return moved

        loop._Trainer._step, Path.replace, Path.rename = counted_step, deadly(Path.replace), deadly(Path.rename)
        code = 0
        try:
            config = load_config(run / checkpoint.CONFIG) if run.exists() else self.config
            loop.train(config, self.store, run, resume=run.exists())
        except BaseException:
            traceback.print_exc()
            code = 1
        os._exit(code)

    def train_until(self, way: str, run: Path) -> int:
        """Train until killed in one of ``WAYS``, or to the end. Gives the child's exit code, -9 if it was killed."""
        child = self.start(run, deadly_move=int(self.random.integers(1, 3 * MOST_STEPS)) if way == WAYS[2] else 0)
        goal = self.steps[0] + self.random.integers(MOST_STEPS)
        while way in WAYS[:2] and not _ended(child):
            if self.steps[0] >= goal and (way == WAYS[0] or any(run.glob("*.part"))):
                time.sleep(self.random.uniform(0, 0.05 if way == WAYS[0] else 0.003))
                os.kill(child, signal.SIGKILL)
                break
            time.sleep(0.0002)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def faults(self, run: Path) -> list[str]:
        """What is wrong with the files of a killed run."""
        if not run.exists():
            return []
        found = []
        with _noting(found):
            config = load_config(run / checkpoint.CONFIG)
            if config != load_config(self.folder / "whole" / checkpoint.CONFIG):
                found.append("config.yaml: not what was written")
            for name in (checkpoint.BEST, checkpoint.LAST):
                if (run / name).exists():
                    checkpoint.load_weights(run / name, checkpoint.build(config)[0])
        with _noting(found):
            if checkpoint.has_state(run):
                complaint = checkpoint.load_state(run)[1]
                if complaint and "missing" not in complaint:
                    found.append(complaint)
        return found

    def lost_steps(self, run: Path) -> int:
        """Steps done when the kill came that the run's state does not hold."""
        if not checkpoint.has_state(run):
            return int(self.steps[0])
        progress, per_epoch = checkpoint.load_state(run)[0]["progress"], self._steps_an_epoch()
        return int(self.steps[0]) - progress["epoch"] * per_epoch - progress["step"]

    def _steps_an_epoch(self) -> int:
        training = int((self.config.splits(self.store.samples) == "train").sum())
        return -(-training // self.config.batch_size)


@contextlib.contextmanager
def _noting(found: list[str]) -> Iterator[None]:
    try:
        yield
    except (DataError, OSError) as error:
        found.append(str(error))


def _ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _mid_save(run: Path) -> bool:
    return any(run.glob("*.part")) or (
        (run / checkpoint.PREVIOUS_STATE).exists() and not (run / checkpoint.STATE).exists()
    )


def _equal(run: Path, whole: Path) -> bool:
    same = all((run / name).read_bytes() == (whole / name).read_bytes() for name in (checkpoint.BEST, checkpoint.LAST))
    logs = [np.genfromtxt(folder / "log.csv", delimiter=",", skip_header=1)[:, :4] for folder in (run, whole)]
    return same and np.array_equal(*logs)


def sweep_kills(sweep: Sweep, kills: int) -> tuple[Counter[str], list[str]]:
    """Kill so many times, over as many runs as that takes, the last of which may end. Gives counts and faults."""
    counts, faults = Counter[str](), []
    whole, run = sweep.folder / "whole", sweep.folder / "run 0"
    os.waitpid(sweep.start(whole), 0)
    sweep.steps[0] = 0
    while counts["kills"] < kills or run.exists():
        way = WAYS[counts["kills"] % len(WAYS)] if counts["kills"] < kills else "never"
        code = sweep.train_until(way, run)
        found = sweep.faults(run) if code in (0, -signal.SIGKILL) else [f"training failed ({code})"]
        faults += [f"kill {counts['kills']} ({way}): {fault}" for fault in found]
        if code == -signal.SIGKILL:
            counts += Counter({"kills": 1, way: 1, "in mid-save": _mid_save(run)})
            lost = 0 if found else sweep.lost_steps(run)
            counts["most steps lost"] = max(counts["most steps lost"], lost)
        if code == 0:
            counts += Counter({"runs": 1, "unequal": not _equal(run, whole)})
        if code != -signal.SIGKILL or found:  # on with another run
            run = run.with_name(f"run {int(run.name.split()[1]) + 1}")
            sweep.steps[0] = 0
    return counts, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["TQDM_DISABLE"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        counts, faults = sweep_kills(Sweep(Path(folder)), arguments.kills)
    ways = ", ".join(f"{counts[way]} {way}" for way in WAYS)
    print(f"{counts['kills']} kills ({ways}), {counts['in mid-save']} of them in mid-save")
    print(f"{len(faults)} states damaged; at most {counts['most steps lost']} steps lost, saved each step")
    print(f"{counts['runs']} runs ended, {counts['unequal']} of them unlike the uninterrupted one")
    print(*faults, sep="\n")
    return int(bool(faults or counts["unequal"] or counts["most steps lost"] > 1))


if __name__ == "__main__":
    sys.exit(main())
