"""The corrections of a person, in a folder of their own.

- `Landmarks.csv`: the points as the person left them, one row a point: what is read when the page opens again.
- `VolumeTracings.csv`: the same outlines as tracings, in the columns of the data's own file.
- `audit.jsonl`: one line a change: file, frame, points before and after, seconds, drags.
- `sha256.json`: what the tables' content hashes to, so that damage is noticed.

Both tables are replaced whole at each change. The first one is what counts, and is moved to its place last; the second
follows from it, and is written anew where it does not. `.lock` keeps a second review out; no other file is written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from echoseg.datasets.corrections import CHECKSUMS, read_checksums, verify_checksums
from echoseg.datasets.echonet import TRACINGS
from echoseg.errors import DataError
from echoseg.io.table import quote, read_numbers, read_table
from echoseg.review.handles import ADDED, Drawing, Handles
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file, naming, replace_file, replace_files

LANDMARKS, AUDIT = "Landmarks.csv", "audit.jsonl"
_COLUMNS = ("FileName", "X", "Y", "Frame", "Landmark", "Held")
_HEADERS = {"chords": "FileName,X1,Y1,X2,Y2,Frame", "points": "FileName,X,Y,Frame"}


class OutdatedError(Exception):
    """Somebody else has changed this frame since it was looked at."""


class StoredCorrection(NamedTuple):
    """A correction, and its lines in the two tables."""

    handles: Handles
    points: list[str]
    tracing: list[str]


class Corrections:
    """What was corrected, by file and frame; several threads may change it at once."""

    def __init__(self, folder: Path, drawing: Drawing, *, kind: str) -> None:
        """Open a folder of corrections; made where it is missing.

        Args:
            folder: of the files.
            drawing: of the run.
            kind: of the tracings to write, "chords" or "points".

        Raises:
            DataError: a table is damaged or of another run's landmarks, or another review has the folder open.
        """
        self.folder, self._drawing, self._kind = folder, drawing, kind
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._held_open = _hold(folder)
        try:
            verify_checksums(folder / LANDMARKS)
            self._hashes = {
                name: [hash_file(folder / name)] for name in (LANDMARKS, TRACINGS) if (folder / name).exists()
            }
            self._found = {key: self._kept(key, found) for key, found in _read(folder / LANDMARKS, drawing).items()}
            told = {name: [hashes[-1]] for name, hashes in read_checksums(folder).items()}
            if told and told != self._hashes:  # killed between two moves
                self._write(self._found)
        except BaseException:
            self.close()
            raise
        self._versions = dict.fromkeys(self._found, 1)

    def close(self) -> None:
        """Let another review open the folder."""
        with contextlib.suppress(OSError):
            self._held_open.close()

    def of(self, file: str) -> dict[int, tuple[Handles, int]]:
        """The corrected frames of a file, each with its version."""
        with self._lock:
            return {
                frame: (kept.handles, self._versions[name, frame])
                for (name, frame), kept in self._found.items()
                if name == file
            }

    def counts(self) -> Counter[str]:
        """How many frames of each file are corrected."""
        with self._lock:
            return Counter(file for file, _ in self._found)

    def version(self, file: str, frame: int) -> int:
        """Counts the changes of a frame; 0 for one that was never touched."""
        with self._lock:
            return self._versions.get((file, frame), 0)

    def save(
        self,
        file: str,
        frame: int,
        handles: Handles | None,
        *,
        version: int,
        before: np.ndarray,
        effort: dict[str, Any],
    ) -> int:
        """Keep a correction, or take it back.

        Args:
            file: as the tracings name it.
            frame: of the file.
            handles: None takes the correction back.
            version: of the frame when the person looked at it.
            before: (K, 2) the points before.
            effort: seconds and drags, for the audit log.

        Returns:
            the new version.

        Raises:
            OutdatedError: the frame is of another version by now.
            OSError: the disk is full, or the like; nothing has changed then.
        """
        key = (file, frame)
        with self._lock:
            if self._versions.get(key, 0) != version:
                raise OutdatedError
            found = {other: kept for other, kept in self._found.items() if other != key}
            if handles is not None:
                found[key] = self._kept(key, handles)
            after = None if handles is None else handles.points.round(4).tolist()
            line = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "file": file,
                "frame": frame,
                "before": before.round(4).tolist(),
                "after": after,
                **effort,
            }
            with _logged(self.folder / AUDIT, line):
                self._write(found)
            self._found, self._versions[key] = found, version + 1
            return version + 1

    def _kept(self, key: tuple[str, int], handles: Handles) -> StoredCorrection:
        file, frame = key
        numbers = ["" if landmark == ADDED else landmark for landmark in handles.landmarks]
        points = [
            f"{file},{x:.4f},{y:.4f},{frame},{number},{int(pinned)}"
            for (x, y), number, pinned in zip(handles.points, numbers, handles.pinned, strict=True)
        ]
        rows = self._drawing.chords(handles) if self._kind == "chords" else self._drawing.join(handles)
        return StoredCorrection(
            handles, points, [f"{file},{','.join(f'{value:.4f}' for value in row)},{frame}" for row in rows]
        )

    def _write(self, found: dict[tuple[str, int], StoredCorrection]) -> None:
        ordered = [found[key] for key in sorted(found)]
        points = [",".join(_COLUMNS), *itertools.chain.from_iterable(kept.points for kept in ordered)]
        tracings = [_HEADERS[self._kind], *itertools.chain.from_iterable(kept.tracing for kept in ordered)]
        tables = {name: "\n".join([*lines, ""]).encode() for name, lines in ((LANDMARKS, points), (TRACINGS, tracings))}
        after = {name: hashlib.sha256(table).hexdigest() for name, table in tables.items()}
        # until both tables are replaced, each may be what it was or what it will be
        self._hashes = {name: [*self._hashes.get(name, []), known] for name, known in after.items()}
        contents = {CHECKSUMS: self._checksums_json(), TRACINGS: tables[TRACINGS], LANDMARKS: tables[LANDMARKS]}
        replace_files({self.folder / name: partial(Path.write_bytes, data=text) for name, text in contents.items()})
        self._hashes = {name: [known] for name, known in after.items()}
        with contextlib.suppress(OSError):  # what is to be kept is kept
            replace_file(self.folder / CHECKSUMS, partial(Path.write_bytes, data=self._checksums_json()))

    def _checksums_json(self) -> bytes:
        return json.dumps(add_checksum(self._hashes)).encode()


@contextlib.contextmanager
def _logged(path: Path, line: dict[str, Any]) -> Iterator[None]:
    """Add a line to a log, and take it back where what it tells of fails."""
    with naming(path), path.open("a+b", buffering=0) as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(0, end - 1))
        cut = b"" if log.read() in (b"", b"\n") else b"\n"  # killed while writing its last line
        text = cut + json.dumps(line).encode() + b"\n"
        try:
            if log.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                log.truncate(end)
            raise


def _hold(folder: Path) -> Any:
    """An open file that no other review has, where the system can tell."""
    handle = (folder / ".lock").open("w")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise DataError(
                f"{folder}: another review has it open; end that one, or choose other corrections"
            ) from None
    return handle


def _read(path: Path, drawing: Drawing) -> dict[tuple[str, int], Handles]:
    if not path.exists() or path.read_bytes().count(b"\n") < 2:  # every correction was taken back
        return {}
    table = read_table(path, _COLUMNS)
    values = {}
    for name in ("X", "Y", "Frame", "Landmark", "Held"):
        values[name], bad = read_numbers(table[name], blank=name == "Landmark")
        for row, cell in table[name][bad].items():
            raise DataError(f"{path}:{row}:{name}: {quote(cell)} is not a number; mend it or delete the file")
    rows = pd.DataFrame({**values, "FileName": table["FileName"]}).fillna({"Landmark": ADDED})
    found = {}
    for (file, frame), part in rows.groupby(["FileName", "Frame"], sort=False):
        points = part[["X", "Y"]].to_numpy(np.float32)
        handles = Handles(points, part["Landmark"].to_numpy(np.int64), part["Held"].to_numpy() > 0)
        if len(points) < 3 or not drawing.fits(handles):
            raise DataError(
                f"{path}:{part.index[0]}: the points of frame {frame:g} of {file} are no outline of the run's "
                f"scheme {drawing.scheme!r} of {drawing.count}; choose other corrections, or mend it"
            )
        found[str(file), int(frame)] = handles
    return found
