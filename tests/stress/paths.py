"""Names that would lead elsewhere, as cells of tables and as files: nothing outside the folders given is touched.

- Tables: each name stands as FileName in both tables of an EchoNet folder. Every file that Python opens while the
  folder is read and decoded is heard by an audit hook; none may lie outside the folder.
- Links: files, folders, loops and devices, linked from `Videos/`.
- Results: each name that the system allows is given to a video, which is segmented, alone and among all others. Nothing
  outside `--out` may change, and each has results of its own there.
- Corrections: each such video is refused by `echoseg review`, or its correction is there when the page opens again.

Run it: `python tests/stress/paths.py`. It prints what was tried and found, and exits with 1 if anything failed.
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
from echoseg.datasets.echonet import read_echonet, read_tracings, stem_of
from echoseg.datasets.samples import decode_dataset
from echoseg.errors import DataError
from echoseg.inference.archive import find_input_files, segment_files, write_results
from echoseg.inference.predictor import Predictor
from echoseg.review.clips import Clips
from echoseg.review.clips import find_review_clips as find_clips
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import Handles
from echoseg.training import checkpoint
from echoseg.training.config import Config
from stress._nasty import NAMES

SECRET = "secret"


class Watch:
    """Records every path that Python opens while it is on; an audit hook stays for the life of the process."""

    def __init__(self) -> None:
        self.on = False
        self.opened: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if self.on and event == "open" and isinstance(arguments[0], (str, bytes)):
            self.opened.append(os.fsdecode(arguments[0]))

    def strays(self, folder: Path) -> list[Path]:
        """What was opened beside the folder, or of the system's."""
        opened = {Path(os.path.realpath(path)) for path in self.opened}
        self.opened.clear()
        home = folder.resolve()
        beside = [path for path in opened if path.is_relative_to(home.parent) and not path.is_relative_to(home)]
        return beside + [path for path in opened if path.is_relative_to("/etc") or path == Path("/dev/zero")]


def combined(names: Sequence[str], count: int, seed: int) -> list[str]:
    """The names alone, with endings, and joined by separators."""
    find = random.Random(seed)
    joined = [find.choice("/\\").join(find.choices(names, k=find.choice((2, 3)))) for _ in range(count)]
    return [*names, *(name + ending for name in names for ending in (".avi", ".MP4")), *joined]


def try_table(folder: Path, name: str, watch: Watch) -> Iterator[str]:
    """A name as FileName: refused, or of a file in the folder."""
    cell = name.encode("utf-8", "surrogatepass").replace(b"\n", b" ").replace(b"\r", b" ")
    lines = [line.encode("utf-8") for line in chord_lines("@", 2, ellipse_chords())]
    rows = [
        b"FileName,X1,Y1,X2,Y2,Frame",
        *(line.replace(b"@.avi", cell) for line in lines),
        *(line.replace(b"@", b"b") for line in lines),
    ]
    (folder / "VolumeTracings.csv").write_bytes(b"\n".join(rows))
    (folder / "FileList.csv").write_bytes(b"FileName\n" + cell + b"\nb\n")
    watch.on = True
    try:
        dataset = read_echonet(folder)
        for _ in decode_dataset(dataset, size=(16, 16), ordering=None, fov_mm=None):
            pass
        said = [*dataset.recordings, *dataset.faults]
        watch.opened += [str(recording.path) for recording in dataset.recordings]  # a child of this process reads them
        if len({recording.name for recording in dataset.recordings} - {"a", "b", "c"}) or not said:
            yield f"{name!r}: read as {dataset.recordings}"
    except DataError as error:
        if not str(error).isprintable():
            yield f"{name!r}: unfit for a terminal"
    finally:
        watch.on = False
    yield from (f"{name!r}: opened {path}" for path in watch.strays(folder))


def try_links(folder: Path, watch: Watch) -> Iterator[str]:
    """Links in `Videos/`, each the name of a listed video."""
    videos, outside = folder / "Videos", folder.parent / SECRET
    outside.mkdir(exist_ok=True)
    write_video(outside / "secret.avi")
    (folder / "inside").mkdir(exist_ok=True)
    write_video(folder / "inside/kept.avi")
    links = {
        "file": outside / "secret.avi",
        "relative": Path("../../secret/secret.avi"),
        "folder": outside,
        "loop": videos / "loop.avi",
        "twice": videos / "file.avi",
        "broken": outside / "none.avi",
        "device": Path("/dev/zero"),
        "system": Path("/etc/passwd"),
        "inside": folder / "inside/kept.avi",
    }
    for name, target in links.items():
        (videos / f"{name}.avi").symlink_to(target)
    lines = [line for name in ("a", *links) for line in chord_lines(name, 2, ellipse_chords())]
    (folder / "VolumeTracings.csv").write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *lines]))
    (folder / "FileList.csv").write_text("FileName\na\n" + "\n".join(links))
    watch.on = True
    dataset = read_echonet(folder)
    watch.opened += [str(recording.path) for recording in dataset.recordings]
    decoded = list(decode_dataset(dataset, size=(16, 16), ordering=None, fov_mm=None))
    watch.on = False
    yield from (f"links: opened {path}" for path in watch.strays(folder))
    read = [recording.name for recording, one in zip(dataset.recordings, decoded, strict=True) if one.samples]
    if read != ["a", "inside"]:
        yield f"links: read {read}"
    if len(dataset.faults) + sum(len(one.faults) for one in decoded) != len(links) - 1:
        yield f"links: faults {[*map(str, dataset.faults)]}"


def tree(folder: Path) -> dict[Path, object]:
    """All that lies in a folder: the content of files."""
    return {path: path.read_bytes() if path.is_file() else "" for path in folder.rglob("*")}


def write_nothing(path, clip, prediction, measured, folder):
    (folder / "mark").write_text(path.name, errors="surrogateescape")


def make_files(folder: Path, names: Iterable[str], content: bytes) -> list[Path]:
    """A video of each name that a file can have."""
    folder.mkdir()
    files = []
    for name in dict.fromkeys(names):
        with contextlib.suppress(OSError, ValueError):
            (folder / f"{name}.avi").write_bytes(content)
            files.append(folder / f"{name}.avi")
    return files


def try_results(place: Path, names: Iterable[str], predictor: Predictor) -> Iterator[str]:
    """Files of these names through predict, together and each alone."""
    files = make_files(place / "in", names, write_video(place / "template.avi", frames=1).read_bytes())
    out = place / "above" / "out"
    before = tree(place)
    for given in [[place / "in"], files, *([file] for file in files)]:
        shown = given[0].name if len(given) == 1 else f"{len(given)} files"
        out.mkdir(parents=True)
        try:
            sources = find_input_files(given, Path("no run"), None, out=out)
        except DataError as error:
            if not str(error).isprintable():
                yield f"{shown!r}: unfit for a terminal"
        else:
            rows = list(segment_files(sources, predictor, out, _write_mark))
            write_results(sources, out, kind="csv")
            for source, row in zip(sources, rows, strict=True):
                if "is not UTF-8" in row["error"]:
                    continue
                mark = out / source.name / "mark"
                if not mark.is_file() or os.fsdecode(mark.read_bytes()) != source.path.name:
                    yield f"{shown!r}: no results of {source.path.name!r}"
        after = tree(place)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        yield from (f"{shown!r}: {path} changed" for path in changed - {out.parent} if not path.is_relative_to(out))
        shutil.rmtree(out.parent, ignore_errors=True)


def _write_mark(path: Path, clip: object, prediction: object, measured: object, folder: Path) -> None:
    (folder / "mark").write_bytes(os.fsencode(path.name))


def try_corrections(place: Path, names: Iterable[str]) -> Iterator[str]:
    """A correction of a file of each name reads back, or the file is refused."""
    knows = FakePredictor("landmark")
    handles = Handles(outlines(1)[0], np.arange(5), np.ones(5, dtype=bool))
    for number, path in enumerate(make_files(place / "clips", names, b"")):
        try:
            sources, _ = find_clips([path], None)
        except DataError as error:
            if not str(error).isprintable():
                yield f"{path.name!r}: unfit for a terminal"
            continue
        drawing = Clips(knows, sources).drawing
        folder = place / f"corrections-{number}"
        with contextlib.closing(CorrectionsFolder(folder, drawing, kind="points")) as kept:
            kept.save(sources[0].name, 0, handles, version=0, before=handles.points, effort={})
        with contextlib.closing(CorrectionsFolder(folder, drawing, kind="points")) as again:
            if list(again.of(sources[0].name)) != [0]:
                yield f"{path.name!r}: its correction is lost"
        _, traced, faults = read_tracings(folder / "VolumeTracings.csv")
        if list(traced) != [stem_of(sources[0].name)] or faults:
            yield f"{path.name!r}: its tracing is called {list(traced)}"


def sweep(place: Path, names: Sequence[str] = NAMES, *, joined: int, seed: int = 0) -> tuple[dict[str, int], list[str]]:
    """All parts in a folder; how many names each tried, and what failed."""
    watch = Watch()
    torch.manual_seed(0)
    config = Config(approach="mask", size=(16, 16), width=4, depth=1, precision="float32")
    predictor = Predictor(config, *checkpoint.build(config), torch.device("cpu"))
    cells = combined(names, joined, seed)
    data = write_folder(place / "tables/data")
    (data.parent / SECRET).mkdir()
    write_video(data.parent / SECRET / "secret.avi")
    failures = [wrong for name in cells for wrong in try_table(data, name, watch)]
    failures += try_links(write_folder(place / "links/data"), watch)
    (place / "results").mkdir()
    failures += try_results(place / "results", names, predictor)
    (place / "corrections").mkdir()
    failures += try_corrections(place / "corrections", names)
    return {"cells": len(cells), "names of files": len(names)}, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="of names joined from others (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tried, failures = sweep(Path(place), joined=arguments.count, seed=arguments.seed)
    for failure in failures[:20]:
        print(failure)
    print(f"tried: {', '.join(f'{count} {what}' for what, count in tried.items())}, 9 links")
    print(f"{len(failures)} failures (a file opened or changed outside its folder, results or corrections lost)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
