"""Uses difficult names as cells of tables and as file names, and checks that only the given folders are accessed.

- Tables: each name is a FileName in both tables of an EchoNet folder. An audit hook records the files that Python opens
  while the folder is read and decoded; none may be outside the folder.
- Links: `Videos/` contains links to files, folders, loops and devices.
- Results: videos with each name that the file system allows are segmented, alone and together. Only files in `--out`
  may change, and each video has results of its own there.
- Corrections: `echoseg review` refuses such a video, or its correction is there when the page is opened again.

Run `python tests/stress/paths.py`. It prints a summary, and exits with 1 if a check failed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from _folders import chord_lines, ellipse_chords, write_folder, write_video
from _reviewing import FakePredictor, outlines
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.samples import decode_dataset
from echoseg.datasets.tracings import read_tracings, stem_of
from echoseg.errors import DataError
from echoseg.inference.archive import segment_files, write_results
from echoseg.inference.input_files import find_input_files
from echoseg.inference.predictor import Predictor
from echoseg.review.clips import Clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles
from echoseg.review.sources import find_review_clips as find_clips
from echoseg.review.tables import FrameState
from echoseg.training import checkpoint
from echoseg.training.config import Config
from stress._difficult_texts import NAMES

SECRET = "secret"


class Recorder:
    """Records the paths that Python opens while it is active; an audit hook cannot be removed."""

    def __init__(self) -> None:
        self.active = False
        self.opened: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if self.active and event == "open" and isinstance(arguments[0], (str, bytes)):
            self.opened.append(os.fsdecode(arguments[0]))

    def take_outside(self, folder: Path) -> list[Path]:
        """The recorded paths in the parent folder but not in the folder, and those of the system."""
        opened = {Path(os.path.realpath(path)) for path in self.opened}
        self.opened.clear()
        folder = folder.resolve()
        beside = [path for path in opened if path.is_relative_to(folder.parent) and not path.is_relative_to(folder)]
        return beside + [path for path in opened if path.is_relative_to("/etc") or path == Path("/dev/zero")]


def combined(names: Sequence[str], count: int, seed: int) -> list[str]:
    """The names, the names with suffixes, and `count` combinations with separators."""
    rng = random.Random(seed)
    joined = [rng.choice("/\\").join(rng.choices(names, k=rng.choice((2, 3)))) for _ in range(count)]
    return [*names, *(name + suffix for name in names for suffix in (".avi", ".MP4")), *joined]


def try_table(folder: Path, name: str, recorder: Recorder) -> Iterator[str]:
    """Use a name as FileName; yields failures."""
    cell = name.encode("utf-8", "surrogatepass").replace(b"\n", b" ").replace(b"\r", b" ")
    lines = [line.encode("utf-8") for line in chord_lines("@", 2, ellipse_chords())]
    rows = [
        b"FileName,X1,Y1,X2,Y2,Frame",
        *(line.replace(b"@.avi", cell) for line in lines),
        *(line.replace(b"@", b"b") for line in lines),
    ]
    (folder / "VolumeTracings.csv").write_bytes(b"\n".join(rows))
    (folder / "FileList.csv").write_bytes(b"FileName\n" + cell + b"\nb\n")
    recorder.active = True
    try:
        dataset = read_echonet(folder)
        for _ in decode_dataset(dataset, size=(16, 16), ordering=None, fov_mm=None):
            pass
        reported = [*dataset.recordings, *dataset.faults]
        recorder.opened += [str(recording.path) for recording in dataset.recordings]  # opened by worker processes
        if len({recording.name for recording in dataset.recordings} - {"a", "b", "c"}) or not reported:
            yield f"{name!r}: read as {dataset.recordings}"
    except DataError as error:
        if not str(error).isprintable():
            yield f"{name!r}: message is not printable"
    finally:
        recorder.active = False
    yield from (f"{name!r}: opened {path}" for path in recorder.take_outside(folder))


def try_links(folder: Path, recorder: Recorder) -> Iterator[str]:
    """List videos that are links; yields failures."""
    videos, outside = folder / "Videos", folder.parent / SECRET
    outside.mkdir(exist_ok=True)
    write_video(outside / "secret.avi")
    (folder / "inside").mkdir(exist_ok=True)
    write_video(folder / "inside/valid.avi")
    links = {
        "file": outside / "secret.avi",
        "relative": Path("../../secret/secret.avi"),
        "folder": outside,
        "loop": videos / "loop.avi",
        "twice": videos / "file.avi",
        "broken": outside / "none.avi",
        "device": Path("/dev/zero"),
        "system": Path("/etc/passwd"),
        "inside": folder / "inside/valid.avi",
    }
    for name, target in links.items():
        (videos / f"{name}.avi").symlink_to(target)
    lines = [line for name in ("a", *links) for line in chord_lines(name, 2, ellipse_chords())]
    (folder / "VolumeTracings.csv").write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *lines]))
    (folder / "FileList.csv").write_text("FileName\na\n" + "\n".join(links))
    recorder.active = True
    dataset = read_echonet(folder)
    recorder.opened += [str(recording.path) for recording in dataset.recordings]
    results = list(decode_dataset(dataset, size=(16, 16), ordering=None, fov_mm=None))
    recorder.active = False
    yield from (f"links: opened {path}" for path in recorder.take_outside(folder))
    read = [recording.name for recording, result in zip(dataset.recordings, results, strict=True) if result.samples]
    if read != ["a", "inside"]:
        yield f"links: read {read}"
    if len(dataset.faults) + sum(len(result.faults) for result in results) != len(links) - 1:
        yield f"links: faults {[*map(str, dataset.faults)]}"


def read_tree(folder: Path) -> dict[Path, object]:
    """Path → content of all files in a folder; "" for folders."""
    return {path: path.read_bytes() if path.is_file() else "" for path in folder.rglob("*")}


def make_files(folder: Path, names: Iterable[str], content: bytes) -> list[Path]:
    """Write a file for each name that the file system allows."""
    folder.mkdir()
    files = []
    for name in dict.fromkeys(names):
        with contextlib.suppress(OSError, ValueError):
            (folder / f"{name}.avi").write_bytes(content)
            files.append(folder / f"{name}.avi")
    return files


def try_results(folder: Path, names: Iterable[str], predictor: Predictor) -> Iterator[str]:
    """Segment files with these names, together and alone; yields failures."""
    files = make_files(folder / "in", names, write_video(folder / "template.avi", frames=1).read_bytes())
    out = folder / "parent" / "out"
    before = read_tree(folder)
    for inputs in [[folder / "in"], files, *([file] for file in files)]:
        label = inputs[0].name if len(inputs) == 1 else f"{len(inputs)} files"
        out.mkdir(parents=True)
        try:
            sources = find_input_files(inputs, Path("no run"), None, out=out)
        except DataError as error:
            if not str(error).isprintable():
                yield f"{label!r}: message is not printable"
        else:
            rows = list(segment_files(sources, predictor, out, _write_mark))
            write_results(sources, out, kind="csv")
            for source, row in zip(sources, rows, strict=True):
                if "is not UTF-8" in row["error"]:
                    continue
                mark = out / source.name / "mark"
                if not mark.is_file() or os.fsdecode(mark.read_bytes()) != source.path.name:
                    yield f"{label!r}: no results of {source.path.name!r}"
        after = read_tree(folder)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        yield from (f"{label!r}: {path} changed" for path in changed - {out.parent} if not path.is_relative_to(out))
        shutil.rmtree(out.parent, ignore_errors=True)


def _write_mark(path: Path, clip: object, prediction: object, measured: object, folder: Path) -> None:
    (folder / "mark").write_bytes(os.fsencode(path.name))


def try_corrections(work: Path, names: Iterable[str]) -> Iterator[str]:
    """Save and read a correction of a file with each name; yields failures."""
    predictor = FakePredictor("landmark")
    handles = Handles(outlines(1)[0], np.arange(5), np.ones(5, dtype=bool))
    for number, path in enumerate(make_files(work / "clips", names, b"")):
        try:
            sources, _ = find_clips([path], None)
        except DataError as error:
            if not str(error).isprintable():
                yield f"{path.name!r}: message is not printable"
            continue
        drawing = Clips(predictor, sources).drawing
        folder = work / f"corrections-{number}"
        with contextlib.closing(CorrectionsFolder(folder, drawing, kind="points")) as corrections:
            corrections.save(sources[0].name, 0, FrameState(handles), version=0, before=handles.points, effort={})
        with contextlib.closing(CorrectionsFolder(folder, drawing, kind="points")) as corrections:
            if list(corrections.of(sources[0].name)) != [0]:
                yield f"{path.name!r}: its correction is missing"
        _, videos, faults, *_ = read_tracings(folder / "VolumeTracings.csv")
        if list(videos) != [stem_of(sources[0].name)] or faults:
            yield f"{path.name!r}: its tracing has the name {list(videos)}"


def run(work: Path, names: Sequence[str] = NAMES, *, joined: int, seed: int = 0) -> tuple[dict[str, int], list[str]]:
    """Run all parts in a folder; returns the number of names by part, and the failures."""
    recorder = Recorder()
    torch.manual_seed(0)
    config = Config(approach="mask", size=(16, 16), width=4, depth=1, precision="float32")
    predictor = Predictor(config, *checkpoint.build(config), torch.device("cpu"))
    cells = combined(names, joined, seed)
    data = write_folder(work / "tables/data")
    (data.parent / SECRET).mkdir()
    write_video(data.parent / SECRET / "secret.avi")
    failures = [failure for name in cells for failure in try_table(data, name, recorder)]
    failures += try_links(write_folder(work / "links/data"), recorder)
    (work / "results").mkdir()
    failures += try_results(work / "results", names, predictor)
    (work / "corrections").mkdir()
    failures += try_corrections(work / "corrections", names)
    return {"cells": len(cells), "names of files": len(names)}, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="number of combined names (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        counts, failures = run(Path(temporary), joined=arguments.count, seed=arguments.seed)
    for failure in failures[:20]:
        print(failure)
    print(f"{', '.join(f'{count} {part}' for part, count in counts.items())}, 9 links")
    print(f"{len(failures)} failures (a file outside the folder opened or changed, results or corrections missing)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
