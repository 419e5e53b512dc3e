"""Long runs do not grow: memory, open files, threads and processes, watched while they work. Linux alone (/proc).

    python tests/stress/soak.py --what batches    # 10,000 training batches, with validation and state after each 24
    python tests/stress/soak.py --what predict    # 10,000 files through 'echoseg predict', one in five of them damaged
    python tests/stress/soak.py --what review     # an hour of requests to 'echoseg review', ten a second

The command itself runs as a user would start it. Twice a second the resident memory, open files, threads and processes
of it and of its children are added up. Their growth is the median slope over all pairs of looks of the last three
quarters: the first quarter is the warm-up. A piece of work (batch, file, request) may leave 500 bytes behind, 5 MB
after 10,000: a frame has 12,544 bytes, a contour with its array 450, an epoch's line in the log, kept on purpose, about
15 for each batch. Of open files, threads and processes there may be one more after a thousand. Exit code 1 if anything
grew more.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import nibabel as nib
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from echoseg.io.reading import read_frames
from echoseg.phantom import write_phantom
from echoseg.phantom.dataset import write_phantom_store
from stress._growth import growth_rate

COUNTS = {"batches": 10_000, "predict": 10_000, "review": 36_000}
EVERY = 0.5  # s, from one look to the next
MOST = {"bytes": 500.0, "files": 1e-3, "threads": 1e-3, "processes": 1e-3}  # that a piece of work may leave behind
PATIENTS, BATCH, STEPS = 32, 2, 24  # of the training; steps an epoch
CLIPS = 5  # of the review: more than it keeps open, so that they are read and predicted again and again


class Look(NamedTuple):
    """What a process and its children hold when so many pieces of work are done."""

    done: int
    bytes: int
    files: int
    threads: int
    processes: int


def look(process: int, done: int) -> Look:
    """Add up what /proc tells of a process and of all that descend from it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = {process}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    pinned = np.zeros(4, dtype=np.int64)
    for member in family:
        folder = Path("/proc", str(member))
        with contextlib.suppress(OSError):
            resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            pinned += resident, len([*(folder / "fd").iterdir()]), len([*(folder / "task").iterdir()]), 1
    return Look(done, *pinned.tolist())


def watch(process: subprocess.Popen[str], done: Callable[[], int], count: int) -> list[Look]:
    """Look at a process until its work is done, or it ends."""
    looks = []
    while process.poll() is None and (now := done()) < count:
        if now:
            looks.append(look(process.pid, now))
        time.sleep(EVERY)
    return looks


def growth(looks: list[Look]) -> dict[str, float]:
    """By how much each quantity grows for a piece of work, over the last three quarters."""
    done, *amounts = zip(*(one for one in looks if one.done >= looks[-1].done / 4), strict=True)
    return {name: growth_rate(done, amount) for name, amount in zip(Look._fields[1:], amounts, strict=True)}


@contextlib.contextmanager
def echoseg(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command that runs; interrupted, in the end, if it does not end by itself."""
    command = [sys.executable, "-m", "echoseg", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def train(folder: Path, count: int) -> list[Look]:
    """Train a tiny landmark network to ``folder / "run"``, augmented in every way; the work is batches."""
    write_phantom_store(folder / "store", patients=PATIENTS, workers=1)
    tiny = f"--epochs {-(-count // STEPS)} --batch-size {BATCH} --width 2 --depth 2 --precision float32 --device cpu"
    every = "--flip 0.5 --attenuation 0.5 --shadow 0.5 --blur 0.5 --checkpoint-minutes 0.01"
    log, run = folder / "run/log.csv", folder / "run"

    def done() -> int:
        return STEPS * (log.read_bytes().count(b"\n") - 1) if log.exists() else 0

    options = ["--approach", "landmark", "--data", folder / "store", "--out", run, *tiny.split(), *every.split()]
    with echoseg("train", *options) as process:
        looks = watch(process, done, count)
        process.communicate()
    if process.returncode:
        raise SystemExit(f"train ended with {process.returncode}")
    return looks


def write_inputs(folder: Path, frames: np.ndarray) -> list[Path]:
    """A video, one that is cut off, a picture, a stack of slices, and a file that is none of them."""
    folder.mkdir()
    video = cv2.VideoWriter(str(folder / "video.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 50, frames.shape[:0:-1])
    for frame in frames:
        video.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    video.release()
    (folder / "cut.avi").write_bytes((folder / "video.avi").read_bytes()[:-9000])
    cv2.imwrite(str(folder / "picture.png"), frames[0])
    nib.save(nib.Nifti1Image(frames[:4].T, np.diag([1.4, 1.4, 8, 1])), folder / "stack.nii.gz")
    (folder / "other.avi").write_bytes(b"RIFF, but no video" * 99)
    return sorted(folder.iterdir())


def predict(folder: Path, run: Path, frames: np.ndarray, count: int) -> list[Look]:
    """Send so many files, links to five, through one ``echoseg predict``; the work is files."""
    made = write_inputs(folder / "made", frames)
    for number in range(count):
        path = made[number % len(made)]
        link = folder / "inputs" / f"{number // 1000:03d}" / f"{number:06d}{''.join(path.suffixes)}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(path)
    out = folder / "predicted"
    manifest = out / "manifest-0.jsonl"

    def done() -> int:
        return manifest.read_bytes().count(b"\n") if manifest.exists() else 0

    with echoseg("predict", run, folder / "inputs", "--out", out, "--device", "cpu") as process:
        looks = watch(process, done, count)
        said = process.communicate()[0]
    if process.returncode or f" of {count} files segmented" not in said:
        raise SystemExit(f"predict ended with {process.returncode}: {said}")
    return looks


class Visitor:
    """A browser without a window: looks at clips by turns, drags, saves, takes back; every now and then wrongly."""

    def __init__(self, link: str, *, rate: float) -> None:
        self.port = int(re.findall(r":(\d+)/", link)[0])
        self.rate, self.begun, self.done, self.failed = rate, time.monotonic(), 0, ""
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connection.request("GET", link.split(str(self.port))[1])
        answer = self.connection.getresponse()
        answer.read()
        self.headers = {"Cookie": answer.headers["Set-Cookie"].split(";")[0], "Origin": f"http://127.0.0.1:{self.port}"}

    def ask(self, method: str, path: str, sent: Any = None, *, expect: int = 200) -> bytes:
        """One request, on a new connection in one of twenty."""
        if self.done % 20 == 0:
            self.connection.close()
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = None if sent is None else json.dumps(sent)
        headers = self.headers | ({} if sent is None else {"Content-Type": "application/json"})
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        received = answer.read()
        if answer.status != expect:
            raise AssertionError(f"{method} {path}: {answer.status}, expected {expect}: {received[:200]!r}")
        self.done += 1
        time.sleep(max(0.0, self.begun + self.done / self.rate - time.monotonic()))
        return received

    def visit(self, clip: int) -> None:
        """Open a clip, look at some of its frames, and correct one of them."""
        self.ask("GET", "/api/clips")
        facts = json.loads(self.ask("GET", f"/api/clips/{clip}"))
        frame, last = self.done % facts["frames"], facts["frames"]
        for start in range(0, last, 4):
            self.ask("GET", f"/api/clips/{clip}/frames?start={start}&stop={start + 4}")
            self.ask("GET", f"/api/clips/{clip}/frames/{start}/probabilities")
        pinned = facts["corrections"].get(str(frame), {"version": 0})
        points, numbers = facts["points"][frame], list(range(len(facts["points"][frame])))
        drawn = {"points": [[x + 1, y] for x, y in points], "landmarks": numbers, "pinned": [n == 0 for n in numbers]}
        path, change = f"/api/clips/{clip}/frames/{frame}", {"points": drawn, "seconds": 1.5, "drags": 1}
        self.ask("POST", f"{path}/hold", drawn)
        saved = json.loads(self.ask("POST", path, {**change, "version": pinned["version"]}))
        self.ask("POST", path, {**change, "version": saved["version"] + 7}, expect=409)
        self.ask("POST", path, {"points": drawn}, expect=422)
        self.ask("GET", f"/api/clips/{clip}/frames/{last}/probabilities", expect=404)
        if self.done % 3 == 0:
            self.ask("POST", path, {**change, "version": saved["version"], "points": None})

    def stay(self, count: int) -> None:
        """Visit until so many requests are done, or one goes wrong."""
        try:
            while self.done < count:
                self.visit(self.done % CLIPS)
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.failed, self.done = str(error), count
        self.connection.close()


def review(folder: Path, run: Path, frames: np.ndarray, count: int, *, rate: float) -> list[Look]:
    """Send so many requests to one ``echoseg review``; the work is requests."""
    video = write_inputs(folder / "made", frames)[-1]
    inputs = [folder / f"{number}.avi" for number in range(CLIPS)]
    for path in inputs:
        path.hardlink_to(video)
    with echoseg("review", run, *inputs, "--no-browser", "--device", "cpu") as process:
        assert process.stdout is not None
        link = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        visitor = Visitor(link, rate=rate)
        thread = threading.Thread(target=visitor.stay, args=[count])
        thread.start()
        looks = watch(process, lambda: visitor.done, count)
        thread.join()
    if visitor.failed:
        raise SystemExit(visitor.failed)
    return looks


def soak(what: str, folder: Path, count: int, *, rate: float) -> list[Look]:
    """Do so much of one kind of work in a folder of its own, watched."""
    if what == "batches":
        return train(folder, count)
    train(folder, 2 * STEPS)
    write_phantom(folder / "phantom", videos=1, workers=1)
    frames = read_frames(next((folder / "phantom/Videos").iterdir()))[::2][:12]
    if what == "predict":
        return predict(folder, folder / "run", frames, count)
    return review(folder, folder / "run", frames, count, rate=rate)


def report(what: str, looks: list[Look], count: int, minutes: float) -> bool:
    """Print what was seen. Gives whether anything grew too much."""
    print(f"{what}: {count} done in {minutes:.1f} minutes, {len(looks)} looks; from a quarter on:")
    after = [one for one in looks if one.done >= looks[-1].done / 4]
    grew = growth(looks)
    for name, most in MOST.items():
        unit, scale = ("MB", 1e-6) if name == "bytes" else ("", 1)
        values = [getattr(one, name) * scale for one in after]
        print(
            f"  {'memory' if name == 'bytes' else name:<10}{min(values):8.1f} to {max(values):.1f} {unit}, "
            f"{grew[name] * scale * 10_000:+.2f} in 10,000 (at most {most * scale * 10_000:g})"
        )
    return any(grew[name] > most for name, most in MOST.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=COUNTS, help="one of these (default: all, one after the other)")
    parser.add_argument("--count", type=int, help=f"pieces of work (default: {COUNTS})")
    parser.add_argument("--rate", type=float, default=10.0, help="most requests a second (default: %(default)s)")
    arguments = parser.parse_args()
    failed = False
    for what in [arguments.what] if arguments.what else COUNTS:
        count = arguments.count or COUNTS[what]
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ECHOSEG_CACHE"] = f"{folder}/cache"
            looks = soak(what, Path(folder), count, rate=arguments.rate)
        failed |= report(what, looks, count, (time.monotonic() - begun) / 60)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
