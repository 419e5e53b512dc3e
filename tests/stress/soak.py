"""Measures memory, open files, threads and processes of long runs, and checks that they do not grow. Linux only.

    python tests/stress/soak.py --what batches    # 10,000 training batches, with validation and state after each 24
    python tests/stress/soak.py --what predict    # 10,000 files through 'echoseg predict', one in five of them damaged
    python tests/stress/soak.py --what review     # an hour of requests to 'echoseg review', ten per second

The command runs as a user would start it. Twice a second the resident memory, open files, threads and processes of the
command and its subprocesses are sampled. The growth is the median slope over all pairs of samples after the first
quarter, which is the warm-up. Each batch, file or request may leave at most 500 bytes, 5 MB after 10,000. For
comparison, a frame has 12,544 bytes, a contour with its array 450, and the log of an epoch, which is kept, 15 bytes per
batch. Open files, threads and processes may grow by one per thousand. The exit code is 1 if a limit is exceeded.
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
from typing import Any, BinaryIO, NamedTuple

import cv2
import nibabel as nib
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from echoseg.io.reading import read_frames
from echoseg.phantom import write_phantom
from echoseg.phantom.dataset import write_phantom_store
from stress._growth import growth_rate

COUNTS = {"batches": 10_000, "predict": 10_000, "review": 36_000}
INTERVAL = 0.5  # s between two samples
MAX_GROWTH = {"bytes": 500.0, "files": 1e-3, "threads": 1e-3, "processes": 1e-3}  # per batch, file or request
PATIENTS, BATCH, STEPS = 32, 2, 24  # of the training; STEPS per epoch
CLIPS = 5  # of the review: more than the server keeps open, so that they are read and predicted repeatedly


class Sample(NamedTuple):
    """The resources of a process and its subprocesses after an amount of work."""

    done: int
    bytes: int
    files: int
    threads: int
    processes: int


def take_sample(process: int, done: int) -> Sample:
    """Sum the resources of a process and its descendants in /proc."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # the process has ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    family = {process}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    total = np.zeros(4, dtype=np.int64)
    for member in family:
        folder = Path("/proc", str(member))
        with contextlib.suppress(OSError):
            resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            total += resident, len([*(folder / "fd").iterdir()]), len([*(folder / "task").iterdir()]), 1
    return Sample(done, *total.tolist())


def sample_until_done(process: subprocess.Popen[str], done: Callable[[], int], count: int) -> list[Sample]:
    """Take samples of a process until `count` pieces of work are done or it ends."""
    samples = []
    while process.poll() is None and (now := done()) < count:
        if now:
            samples.append(take_sample(process.pid, now))
        time.sleep(INTERVAL)
    return samples


def measure_growth(samples: list[Sample]) -> dict[str, float]:
    """The growth of each resource per piece of work, over the last three quarters."""
    later = [sample for sample in samples if sample.done >= samples[-1].done / 4]
    done, *amounts = zip(*later, strict=True)
    return {name: growth_rate(done, amount) for name, amount in zip(Sample._fields[1:], amounts, strict=True)}


@contextlib.contextmanager
def echoseg(*arguments: object, stderr: BinaryIO | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a command; it is terminated at the end of the context."""
    command = [sys.executable, "-m", "echoseg", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def train(folder: Path, count: int) -> list[Sample]:
    """Train a small landmark network to `folder / "run"` with all augmentations; counts batches."""
    write_phantom_store(folder / "store", patients=PATIENTS, workers=1)
    tiny = f"--epochs {-(-count // STEPS)} --batch-size {BATCH} --width 2 --depth 2 --precision float32 --device cpu"
    every = "--flip 0.5 --attenuation 0.5 --shadow 0.5 --blur 0.5 --checkpoint-minutes 0.001"
    events = folder / "events.jsonl"  # log.csv may have several epochs at once

    def done() -> int:
        return STEPS * events.read_bytes().count(b'"epoch"')

    options = ["--approach", "landmark", "--data", folder / "store", "--out", folder / "run", "--log", "json"]
    with (
        events.open("wb") as stream,
        echoseg("train", *options, *tiny.split(), *every.split(), stderr=stream) as process,
    ):
        samples = sample_until_done(process, done, count)
        process.communicate()
    if process.returncode:
        raise SystemExit(f"train failed with exit code {process.returncode}: {events.read_text()[-500:]}")
    return samples


def write_inputs(folder: Path, frames: np.ndarray) -> list[Path]:
    """Write a video, a video that is cut off, an image, a stack of slices, and an invalid file."""
    folder.mkdir()
    video = cv2.VideoWriter(str(folder / "video.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 50, frames.shape[:0:-1])
    for frame in frames:
        video.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    video.release()
    (folder / "cut.avi").write_bytes((folder / "video.avi").read_bytes()[:-9000])
    cv2.imwrite(str(folder / "image.png"), frames[0])
    nib.save(nib.Nifti1Image(frames[:4].T, np.diag([1.4, 1.4, 8, 1])), folder / "stack.nii.gz")
    (folder / "other.avi").write_bytes(b"RIFF, but no video" * 99)
    return sorted(folder.iterdir())


def predict(folder: Path, run: Path, frames: np.ndarray, count: int) -> list[Sample]:
    """Segment `count` files, which are hard links to five files; counts files."""
    files = write_inputs(folder / "files", frames)
    for number in range(count):
        path = files[number % len(files)]
        link = folder / "inputs" / f"{number // 1000:03d}" / f"{number:06d}{''.join(path.suffixes)}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(path)
    out = folder / "predicted"
    manifest = out / "manifest-0.jsonl"

    def done() -> int:
        return manifest.read_bytes().count(b"\n") if manifest.exists() else 0

    with echoseg("predict", run, folder / "inputs", "--out", out, "--device", "cpu") as process:
        samples = sample_until_done(process, done, count)
        output = process.communicate()[0]
    if process.returncode or f" of {count} files segmented" not in output:
        raise SystemExit(f"predict failed with exit code {process.returncode}: {output}")
    return samples


class Client:
    """A client of the review page: opens clips, and saves and removes corrections; some of its requests are invalid."""

    def __init__(self, link: str, *, rate: float) -> None:
        self.port = int(re.findall(r":(\d+)/", link)[0])
        self.rate, self.started, self.done, self.failure = rate, time.monotonic(), 0, ""
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connection.request("GET", link.split(str(self.port))[1])
        response = self.connection.getresponse()
        response.read()
        cookie = response.headers["Set-Cookie"].split(";")[0]
        self.headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{self.port}"}

    def request(self, method: str, path: str, sent: Any = None, *, expect: int = 200) -> bytes:
        """Send a request; every twentieth uses a new connection."""
        if self.done % 20 == 0:
            self.connection.close()
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = None if sent is None else json.dumps(sent)
        headers = self.headers | ({} if sent is None else {"Content-Type": "application/json"})
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status != expect:
            raise AssertionError(f"{method} {path}: {response.status}, expected {expect}: {content[:200]!r}")
        self.done += 1
        time.sleep(max(0.0, self.started + self.done / self.rate - time.monotonic()))
        return content

    def correct(self, clip: int) -> None:
        """Open a clip, request some of its frames, and correct one of them."""
        self.request("GET", "/api/clips")
        details = json.loads(self.request("GET", f"/api/clips/{clip}"))
        frame, count = self.done % details["frames"], details["frames"]
        for start in range(0, count, 4):
            self.request("GET", f"/api/clips/{clip}/frames?start={start}&stop={start + 4}")
            self.request("GET", f"/api/clips/{clip}/frames/{start}/probabilities")
        version = details["states"].get(str(frame), {"version": 0})["version"]
        points, numbers = details["points"][frame], list(range(len(details["points"][frame])))
        moved = {"points": [[x + 1, y] for x, y in points], "landmarks": numbers, "pinned": [n == 0 for n in numbers]}
        path, correction = f"/api/clips/{clip}/frames/{frame}", {"points": moved, "seconds": 1.5, "drags": 1}
        self.request("POST", f"{path}/update-others", moved)
        saved = json.loads(self.request("POST", path, {**correction, "version": version}))
        self.request("POST", path, {**correction, "version": saved["version"] + 7}, expect=409)
        self.request("POST", path, {"points": moved}, expect=422)
        self.request("GET", f"/api/clips/{clip}/frames/{count}/probabilities", expect=404)
        if self.done % 3 == 0:
            self.request("POST", path, {**correction, "version": saved["version"], "points": None})

    def run(self, count: int) -> None:
        """Correct clips until `count` requests are done, or one fails."""
        try:
            while self.done < count:
                self.correct(self.done % CLIPS)
        except (AssertionError, OSError, http.client.HTTPException) as error:
            self.failure, self.done = str(error), count
        self.connection.close()


def review(folder: Path, run: Path, frames: np.ndarray, count: int, *, rate: float) -> list[Sample]:
    """Send `count` requests to the review page; counts requests."""
    video = write_inputs(folder / "files", frames)[-1]
    inputs = [folder / f"{number}.avi" for number in range(CLIPS)]
    for path in inputs:
        path.hardlink_to(video)
    with echoseg("review", run, *inputs, "--no-browser", "--device", "cpu") as process:
        assert process.stdout is not None
        link = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        client = Client(link, rate=rate)
        thread = threading.Thread(target=client.run, args=[count])
        thread.start()
        samples = sample_until_done(process, lambda: client.done, count)
        thread.join()
    if client.failure:
        raise SystemExit(client.failure)
    return samples


def soak(what: str, folder: Path, count: int, *, rate: float) -> list[Sample]:
    """Run `count` batches, files or requests in a folder; returns the samples."""
    if what == "batches":
        return train(folder, count)
    train(folder, 2 * STEPS)
    write_phantom(folder / "phantom", videos=1, workers=1)
    frames = read_frames(next((folder / "phantom/Videos").iterdir()))[::2][:12]
    if what == "predict":
        return predict(folder, folder / "run", frames, count)
    return review(folder, folder / "run", frames, count, rate=rate)


def report(what: str, samples: list[Sample], count: int, minutes: float) -> bool:
    """Print the measurements; returns whether a limit is exceeded."""
    print(f"{what}: {count} done in {minutes:.1f} minutes, {len(samples)} samples; after the first quarter:")
    later = [sample for sample in samples if sample.done >= samples[-1].done / 4]
    growth = measure_growth(samples)
    for name, limit in MAX_GROWTH.items():
        unit, scale = ("MB", 1e-6) if name == "bytes" else ("", 1)
        values = [getattr(sample, name) * scale for sample in later]
        print(
            f"  {'memory' if name == 'bytes' else name:<10}{min(values):8.1f} to {max(values):.1f} {unit}, "
            f"{growth[name] * scale * 10_000:+.2f} per 10,000 (limit {limit * scale * 10_000:g})"
        )
    return any(growth[name] > limit for name, limit in MAX_GROWTH.items())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=COUNTS, help="what to run (default: all, one after the other)")
    parser.add_argument("--count", type=int, help=f"batches, files or requests (default: {COUNTS})")
    parser.add_argument("--rate", type=float, default=10.0, help="maximum requests per second (default: %(default)s)")
    arguments = parser.parse_args()
    failed = False
    for what in [arguments.what] if arguments.what else COUNTS:
        count = arguments.count or COUNTS[what]
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["ECHOSEG_CACHE"] = f"{folder}/cache"
            samples = soak(what, Path(folder), count, rate=arguments.rate)
        failed |= report(what, samples, count, (time.monotonic() - started) / 60)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
