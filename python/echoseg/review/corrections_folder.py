"""The folder that holds a person's corrections.

- `Landmarks.csv`: the corrected points, one row a point. The page reads this table when it opens again.
- `VolumeTracings.csv`: the same contours as tracings, in the columns of the data set's own file.
- `audit.jsonl`: one line a change, with the file, the frame, the points before and after, seconds and drags.
- `sha256.json`: the SHA-256 of both tables, so that damage is noticed.

Each change replaces both tables. `Landmarks.csv` is replaced last, and only it is read back: if a change was
interrupted between the two, `VolumeTracings.csv` is written again from it. `.lock` keeps a second review from opening
the folder. No other file is written.
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
from echoseg.datasets.tracings import TRACINGS
from echoseg.errors import DataError
from echoseg.review.handles import ADDED, Drawing, Handles
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file, naming, replace_file, replace_files
from echoseg.utils.table import quote, read_numbers, read_table

LANDMARKS, AUDIT = "Landmarks.csv", "audit.jsonl"
_COLUMNS = ("FileName", "X", "Y", "Frame", "Landmark", "Pinned")
_OLD_COLUMNS = (*_COLUMNS[:-1], "Held")  # written before the column was renamed
_HEADERS = {"chords": "FileName,X1,Y1,X2,Y2,Frame", "points": "FileName,X,Y,Frame"}


class OutdatedError(Exception):
    """The frame was changed by another page since this one loaded it."""


class StoredCorrection(NamedTuple):
    """A correction, and its lines in the two tables."""

    handles: Handles
    landmark_rows: list[str]
    tracing_rows: list[str]


class CorrectionsFolder:
    """The corrections of a folder, by file and frame; threads may share it.

    Args:
        folder: The folder; it is made if it is missing.
        drawing: How the points of the run are joined.
        kind: The kind of tracings to write, "chords" or "points".

    Raises:
        DataError: A table is damaged or belongs to a run with other landmarks, or another review uses the folder.
    """

    def __init__(self, folder: Path, drawing: Drawing, *, kind: str) -> None:
        self.folder, self._drawing, self._kind = folder, drawing, kind
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock_folder(folder)
        try:
            verify_checksums(folder / LANDMARKS)
            self._hashes = {
                name: [hash_file(folder / name)] for name in (LANDMARKS, TRACINGS) if (folder / name).exists()
            }
            self._corrections = {
                key: self._stored(key, handles) for key, handles in _read(folder / LANDMARKS, drawing).items()
            }
            recorded = {name: [hashes[-1]] for name, hashes in read_checksums(folder).items()}
            if recorded and recorded != self._hashes:  # a change was interrupted
                self._write(self._corrections)
        except BaseException:
            self.close()
            raise
        self._versions = dict.fromkeys(self._corrections, 1)

    def close(self) -> None:
        """Release the folder, so that another review can open it."""
        with contextlib.suppress(OSError):
            self._lock_file.close()

    def of(self, file: str) -> dict[int, tuple[Handles, int]]:
        """The corrected frames of a file, each with its version."""
        with self._lock:
            return {
                frame: (stored.handles, self._versions[name, frame])
                for (name, frame), stored in self._corrections.items()
                if name == file
            }

    def counts(self) -> Counter[str]:
        """The number of corrected frames, by file."""
        with self._lock:
            return Counter(file for file, _ in self._corrections)

    def version(self, file: str, frame: int) -> int:
        """The number of changes of a frame; 0 for a frame that was never changed."""
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
        """Save or delete a correction.

        Args:
            file: The file, by its name in the tracings.
            frame: The frame of the file.
            handles: The corrected points; None deletes the correction.
            version: The version of the frame that the person changed.
            before: (K, 2) float32, pixels: the points before the change.
            effort: Seconds and drags of the change, for the audit log.

        Returns:
            The new version of the frame.

        Raises:
            OutdatedError: The frame has another version by now.
            OSError: The files cannot be written, for example because the disk is full; then nothing has changed.
        """
        key = (file, frame)
        with self._lock:
            if self._versions.get(key, 0) != version:
                raise OutdatedError
            corrections = {other: stored for other, stored in self._corrections.items() if other != key}
            if handles is not None:
                corrections[key] = self._stored(key, handles)
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
                self._write(corrections)
            self._corrections, self._versions[key] = corrections, version + 1
            return version + 1

    def _stored(self, key: tuple[str, int], handles: Handles) -> StoredCorrection:
        file, frame = key
        numbers = ["" if landmark == ADDED else landmark for landmark in handles.landmarks]
        landmark_rows = [
            f"{file},{x:.4f},{y:.4f},{frame},{number},{int(pinned)}"
            for (x, y), number, pinned in zip(handles.points, numbers, handles.pinned, strict=True)
        ]
        tracing = self._drawing.chords(handles) if self._kind == "chords" else self._drawing.join(handles)
        tracing_rows = [f"{file},{','.join(f'{value:.4f}' for value in row)},{frame}" for row in tracing]
        return StoredCorrection(handles, landmark_rows, tracing_rows)

    def _write(self, corrections: dict[tuple[str, int], StoredCorrection]) -> None:
        ordered = [corrections[key] for key in sorted(corrections)]
        lines = {
            LANDMARKS: [",".join(_COLUMNS), *itertools.chain.from_iterable(each.landmark_rows for each in ordered)],
            TRACINGS: [_HEADERS[self._kind], *itertools.chain.from_iterable(each.tracing_rows for each in ordered)],
        }
        tables = {name: "\n".join([*rows, ""]).encode() for name, rows in lines.items()}
        after = {name: hashlib.sha256(table).hexdigest() for name, table in tables.items()}
        # until both tables are replaced, each may have its old or its new content
        self._hashes = {name: [*self._hashes.get(name, []), new] for name, new in after.items()}
        contents = {CHECKSUMS: self._checksums_json(), TRACINGS: tables[TRACINGS], LANDMARKS: tables[LANDMARKS]}
        replace_files({self.folder / name: partial(Path.write_bytes, data=text) for name, text in contents.items()})
        self._hashes = {name: [new] for name, new in after.items()}
        with contextlib.suppress(OSError):  # the corrections are saved, and the checksums of before hold too
            replace_file(self.folder / CHECKSUMS, partial(Path.write_bytes, data=self._checksums_json()))

    def _checksums_json(self) -> bytes:
        return json.dumps(add_checksum(self._hashes)).encode()


@contextlib.contextmanager
def _logged(path: Path, line: dict[str, Any]) -> Iterator[None]:
    """Append a line to a log, and remove it again if the change that it records fails."""
    with naming(path), path.open("a+b", buffering=0) as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(0, end - 1))
        separator = b"" if log.read() in (b"", b"\n") else b"\n"  # the last line was cut off by a crash
        text = separator + json.dumps(line).encode() + b"\n"
        try:
            if log.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                log.truncate(end)
            raise


def _lock_folder(folder: Path) -> Any:
    """Open and lock a file of the folder, so that a second review is refused; Windows has no such lock."""
    handle = (folder / ".lock").open("w")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise DataError(
                f"{folder}: another 'echoseg review' uses this folder; close it, or give another folder by"
                " --corrections"
            ) from None
    return handle


def _read(path: Path, drawing: Drawing) -> dict[tuple[str, int], Handles]:
    if not path.exists() or path.read_bytes().count(b"\n") < 2:  # only a header: every correction was deleted
        return {}
    table = read_table(path, _COLUMNS, _OLD_COLUMNS).cells.rename(columns={"Held": "Pinned"})
    values = {}
    for name in ("X", "Y", "Frame", "Landmark", "Pinned"):
        values[name], bad = read_numbers(table[name], blank=name == "Landmark")
        for row, cell in table[name][bad].items():
            raise DataError(f"{path}:{row}:{name}: {quote(cell)} is not a number; fix the cell or delete the file")
    rows = pd.DataFrame({**values, "FileName": table["FileName"]}).fillna({"Landmark": ADDED})
    found = {}
    for (file, frame), part in rows.groupby(["FileName", "Frame"], sort=False):
        points = part[["X", "Y"]].to_numpy(np.float32)
        handles = Handles(points, part["Landmark"].to_numpy(np.int64), part["Pinned"].to_numpy() > 0)
        if len(points) < 3 or not drawing.fits(handles):
            raise DataError(
                f"{path}:{part.index[0]}: the points of frame {frame:g} of {file} are not a contour of the run's"
                f" {drawing.count} landmarks (scheme {drawing.scheme!r}); fix these rows, or give another folder by"
                " --corrections"
            )
        found[str(file), int(frame)] = handles
    return found
