"""kill -9 against train, prepare, predict and review: whenever it strikes, nothing is lost that was said to be kept.

    python tests/stress/kills.py --kills 200                  # minutes; Linux and macOS
    python tests/stress/kills.py --kills 200 --what prepare

A tiny piece of work is killed again and again, in three ways by turns: at a random moment, while a half-written file is
there, and right before one of the operations on files (open, write, close, fsync, rename, …) that an undisturbed one
does, drawn at random. After each kill what is there must be whole, and the next process goes on with it. What the work
leaves when it ends must be what undisturbed work leaves, bit for bit, without a trace of the killed ones.

- train: saves its state after each step, so a kill may cost one step;
- prepare: after a kill there is no store, or a whole one;
- predict: a file of results bears its name only when it is whole; gone on with by --resume;
- review: what the page was told to be saved is there when the server is started again.

Exit code 1 if anything failed.
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
from stress._kill_train import Training
from stress._killing import WAYS, sweep_kills

VICTIMS = {"train": Training, "prepare": Preparation, "predict": Archive, "review": Review}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=(*VICTIMS, "all"), default="all")
    parser.add_argument("--kills", type=int, default=200, help="of each (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # so that no thread is lost at a fork
    os.environ["TQDM_DISABLE"] = "1"
    failed = False
    for name in VICTIMS if arguments.what == "all" else [arguments.what]:
        with tempfile.TemporaryDirectory() as folder:
            counts, faults = sweep_kills(VICTIMS[name](Path(folder)), arguments.kills)
        ways = ", ".join(f"{counts[way]} {way}" for way in WAYS)
        print(f"{name}: {counts['kills']} kills ({ways}), {counts['half written']} of them over something half written")
        lost = f", at most {counts['most steps lost']} steps lost" if name == "train" else ""
        print(f"    {len(faults)} faults{lost}; {counts['ended']} times the work went on to its end", flush=True)
        print(*faults, sep="\n", end="\n" if faults else "")
        failed |= bool(faults) or counts["most steps lost"] > 1
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
