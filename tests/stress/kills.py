"""Kills train, prepare, predict and review with SIGKILL, and checks that no confirmed result is lost.

    python tests/stress/kills.py --kills 200                  # minutes; Linux and macOS
    python tests/stress/kills.py --kills 200 --what prepare

A small task is killed repeatedly, alternating between three times: a random time, a time at which a partially written
file exists, and just before a random operation on files (open, write, close, fsync, rename, …). After each kill all
files must be complete, and the next process resumes the task. The final result must be bit-identical to that of an
uninterrupted task, without temporary files.

- train: saves its state after each step, so a kill may lose one step.
- train by epochs: a thread saves the state after each epoch, while the next one trains.
- prepare: after a kill there is either no store or a complete one.
- predict: result files have their final name only when they are complete; --resume continues.
- review: corrections that the page confirmed are there when the server is started again.

The exit code is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from stress._kill_predict import Archive
from stress._kill_prepare import Preparation
from stress._kill_review import Review
from stress._kill_train import Training, TrainingByEpochs
from stress._killing import KILL_TIMES, kill_repeatedly

WORKLOADS = {task.name: task for task in (Training, TrainingByEpochs, Preparation, Archive, Review)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=(*WORKLOADS, "all"), default="all")
    parser.add_argument("--kills", type=int, default=200, help="kills of each task (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    os.environ["TQDM_DISABLE"] = "1"
    failed = False
    for name in WORKLOADS if arguments.what == "all" else [arguments.what]:
        with tempfile.TemporaryDirectory() as folder:
            counts, problems = kill_repeatedly(WORKLOADS[name](Path(folder)), arguments.kills)
        times = ", ".join(f"{counts[time]} {time}" for time in KILL_TIMES)
        print(f"{name}: {counts['kills']} kills ({times}), {counts['partial files']} of them with partial files")
        lost = f", at most {counts['lost steps']} steps lost" if name == "train" else ""
        print(f"    {len(problems)} problems{lost}; the task finished {counts['finished']} times", flush=True)
        print(*problems, sep="\n", end="\n" if problems else "")
        failed |= bool(problems) or counts["lost steps"] > 1
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
