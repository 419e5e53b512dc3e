"""The folder that holds what a person did in a review.

- `Landmarks.csv`: the corrected points, one row a point.
- `VolumeTracings.csv`: the same contours as tracings, in the columns of the data set's own file.
- `Reviews.csv`: the frames that were accepted or rejected, and notes, one row a frame. A corrected frame may be
  accepted too; a rejected frame has no correction. A frame that was accepted as it was predicted has the points that
  were predicted, since another network may predict others.
- `Beats.csv`: the frames of end-diastole and end-systole that a person chose, one row a beat. A file without rows has
  the beats that were found in the prediction.
- `Files.csv`: the SHA-256 of each file of which something is saved; see `echoseg.datasets.file_contents`.
- `audit.jsonl`: one line a change, with the file, the frame, what was before and after, seconds and drags.
- `sha256.json`: the SHA-256 of the tables but `Files.csv`, so that damage is noticed.

What a second reader did is in `readers/NAME`, a folder of the same kind, so that readers do not see each other's work.

`Reviews.csv` and `Beats.csv` exist from the first verdict and the first choice on. Frames count from 0. Corrections of
earlier versions have no row in `Files.csv`; they get it at the next change.

Each change replaces the tables. `Landmarks.csv` is replaced last. `VolumeTracings.csv` is not read back: if a change
was interrupted, it is written again from `Landmarks.csv`. `.lock` keeps a second review from opening the folder. No
other file is written.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from echoseg.datasets.corrections import CHECKSUMS, read_checksums
from echoseg.datasets.file_contents import FILES, hash_table, read_hashes, verify_contents
from echoseg.datasets.tracings import TRACINGS
from echoseg.errors import DataError
from echoseg.geometry.chords import cut_chords
from echoseg.geometry.discs import long_axis
from echoseg.review.handles import Drawing, Handles
from echoseg.review.tables import (
    BEATS,
    COLUMNS,
    LANDMARKS,
    REVIEWS,
    Beats,
    FrameState,
    beat_rows,
    landmark_rows,
    read_beats,
    read_states,
    review_row,
)
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file, naming, replace_file, replace_files

AUDIT = "audit.jsonl"
READERS = "readers"
_TRACING_COLUMNS = {"chords": ("FileName", "X1", "Y1", "X2", "Y2", "Frame"), "points": ("FileName", "X", "Y", "Frame")}
_ALL_FRAMES = -1  # in place of a frame, in the versions of beats


def readers_of(folder: Path) -> list[str]:
    """The readers who have saved something in a folder of corrections; "" is the first one."""
    places = {"": folder, **{path.name: path for path in sorted((folder / READERS).glob("*"))}}
    return [name for name, place in places.items() if (place / LANDMARKS).is_file()]


class OutdatedError(Exception):
    """The frame was changed by another page since this one loaded it."""


class StoredState(NamedTuple):
    """The state of a frame, and its rows in the tables."""

    state: FrameState
    rows: dict[str, list[str]]


class CorrectionsFolder:
    """The corrections of a folder, by file and frame; threads may share it.

    Args:
        folder: The folder; it is made if it is missing.
        drawing: How the points of the run are joined.
        kind: The kind of tracings to write, "chords" or "points".
        reader: The name of a reader, whose corrections are kept apart, in `readers/NAME`; "" for the first reader.
        files: The paths of the files of the session, by their names in the tables. The folder must not have
            corrections of other files of these names. Of a name without a path, nothing is checked.

    Raises:
        DataError: A table is damaged or belongs to a run with other landmarks, the corrections of a file were made for
            another one, or another review uses the folder.
    """

    def __init__(
        self,
        folder: Path,
        drawing: Drawing,
        *,
        kind: str,
        reader: str = "",
        files: Mapping[str, Path] | None = None,
    ) -> None:
        folder = folder / READERS / reader if reader else folder
        self._paths = files or {}
        self.folder, self.reader, self._drawing, self._kind = folder, reader, drawing, kind
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock_folder(folder)
        try:
            self._states = {key: self._stored(key, state) for key, state in read_states(folder, drawing).items()}
            self._beats = read_beats(folder / BEATS)
            self._contents = self._checked_contents()
            names = (LANDMARKS, TRACINGS, REVIEWS, BEATS)
            self._hashes = {name: [hash_file(folder / name)] for name in names if (folder / name).exists()}
            recorded = {name: [hashes[-1]] for name, hashes in read_checksums(folder).items()}
            if recorded and recorded != self._hashes:  # a change was interrupted
                self._write(self._states, self._beats)
        except BaseException:
            self.close()
            raise
        # the log gets a line for each change, so that no version of an earlier session is used again
        log = folder / AUDIT
        self._first_version = 1 + (log.read_bytes().count(b"\n") if log.exists() else 0)
        changed = [*self._states, *((file, _ALL_FRAMES) for file in self._beats)]
        self._versions = dict.fromkeys(changed, self._first_version)

    def close(self) -> None:
        """Release the folder, so that another review can open it."""
        with contextlib.suppress(OSError):
            self._lock_file.close()

    @property
    def other_files(self) -> list[str]:
        """The files of which something is saved that are not in the session, by their names in the tables."""
        return sorted(self._saved(self._states, self._beats) - self._paths.keys())

    def of(self, file: str) -> dict[int, tuple[Handles, int]]:
        """The corrected frames of a file, each with its version."""
        return {
            frame: (state.handles, version)
            for frame, (state, version) in self.states(file).items()
            if state.handles is not None
        }

    def states(self, file: str) -> dict[int, tuple[FrameState, int]]:
        """The changed frames of a file, each with its version; also frames of which every change was undone."""
        with self._lock:
            keys = [key for key in self._versions if key[0] == file and key[1] != _ALL_FRAMES]
            return {key[1]: (self._state(key), self._versions[key]) for key in keys}

    def check_content(self, file: str, content: str) -> None:
        """Check that a file that was opened is the one for which something is saved.

        Args:
            file: The file, by its name in the tables.
            content: What `hash_content` gave for it before it was read. It is saved with the first change of the file.

        Raises:
            DataError: The file was replaced since the folder was opened, or since the first change.
        """
        with self._lock:
            is_saved = file in self._saved(self._states, self._beats)
            if is_saved and content and self._contents.get(file, content) != content:
                path = self._paths.get(file, file)
                raise DataError(
                    f"{path}: was replaced since it was reviewed; close the page, and restore the file or give another"
                    " folder by --corrections"
                )
            if content:
                self._contents[file] = content

    def beats(self, file: str) -> tuple[Beats | None, int]:
        """The beats that a person chose, and their version; None: those found in the prediction."""
        with self._lock:
            return self._beats.get(file), self._versions.get((file, _ALL_FRAMES), 0)

    def save(
        self,
        file: str,
        frame: int,
        state: FrameState,
        *,
        version: int,
        before: np.ndarray,
        effort: dict[str, Any],
    ) -> int:
        """Save the state of a frame.

        Args:
            file: The file, by its name in the tracings.
            frame: The frame of the file.
            state: The new state.
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
        state = state._replace(note=_in_one_line(state.note))
        with self._lock:
            self._check_version(key, version)
            states = {other: stored for other, stored in self._states.items() if other != key}
            if state != FrameState():
                states[key] = self._stored(key, state)
            after = None if state.handles is None else state.handles.points.round(4).tolist()
            judged = {"verdict": state.verdict, "note": state.note} if state.verdict or state.note else {}
            line = {"frame": frame, "before": before.round(4).tolist(), "after": after, **judged}
            with self._logged(file, line | effort):
                self._write(states, self._beats)
            self._states = states
            return self._next_version(key)

    def save_beats(self, file: str, beats: Beats | None, *, version: int, effort: dict[str, Any]) -> int:
        """Save the beats of a file.

        Args:
            file: The file, by its name in the tracings.
            beats: The frames of end-diastole and end-systole of each beat; None: those found in the prediction.
            version: The version of the beats that the person changed.
            effort: Seconds and drags of the change, for the audit log.

        Returns:
            The new version of the beats.

        Raises:
            OutdatedError: The beats have another version by now.
            OSError: The files cannot be written; then nothing has changed.
        """
        key = (file, _ALL_FRAMES)
        with self._lock:
            self._check_version(key, version)
            chosen = {other: value for other, value in self._beats.items() if other != file}
            if beats is not None:
                chosen[file] = beats
            line = {"beats_before": self._beats.get(file), "beats_after": beats}
            with self._logged(file, line | effort):
                self._write(self._states, chosen)
            self._beats = chosen
            return self._next_version(key)

    def _checked_contents(self) -> dict[str, str]:
        """The SHA-256 of the files of which something is saved, as far as it is known.

        Raises:
            DataError: The corrections of a file of the session were made for another file.
        """
        saved = self._saved(self._states, self._beats)
        contents = {name: content for name, content in read_hashes(self.folder).items() if name in saved}
        paths = {name: path for name, path in self._paths.items() if name in saved}
        return verify_contents(self.folder, contents, paths) | contents

    @staticmethod
    def _saved(states: Iterable[tuple[str, int]], beats: Iterable[str]) -> set[str]:
        """The files of which something is saved."""
        return {file for file, _ in states} | set(beats)

    def _state(self, key: tuple[str, int]) -> FrameState:
        return self._states[key].state if key in self._states else FrameState()

    def _check_version(self, key: tuple[str, int], version: int) -> None:
        if self._versions.get(key, 0) != version:
            raise OutdatedError

    def _next_version(self, key: tuple[str, int]) -> int:
        self._versions[key] = max(self._versions.get(key, 0) + 1, self._first_version)
        return self._versions[key]

    @property
    def tracing_header(self) -> str:
        """The first line of a table of tracings."""
        return ",".join(_TRACING_COLUMNS[self._kind])

    def tracing_rows(self, file: str, frame: int, contour: np.ndarray, axis: np.ndarray | None) -> list[str]:
        """The rows of a frame in a table of tracings.

        Args:
            file: The file, by its name in the table.
            frame: The frame of the file.
            contour: (P, 2) float32, pixels.
            axis: (2, 2) float64, pixels: The apex and the middle of the base; None: the longest axis of the contour.
        """
        tracing = contour
        if self._kind == "chords":
            tracing = cut_chords(contour, long_axis(contour[None])[0] if axis is None else axis)
        return [f"{file},{','.join(f'{value:.4f}' for value in row)},{frame}" for row in tracing]

    def _stored(self, key: tuple[str, int], state: FrameState) -> StoredState:
        file, frame = key
        rows = {}
        if state.handles is not None:
            rows[LANDMARKS] = landmark_rows(file, frame, state.handles)
            contour, axis = self._drawing.join(state.handles), self._drawing.axis(state.handles)
            rows[TRACINGS] = self.tracing_rows(file, frame, contour, axis)
        if state.verdict or state.note:
            rows[REVIEWS] = [review_row(file, frame, state)]
        return StoredState(state, rows)

    def _write(self, states: dict[tuple[str, int], StoredState], beats: dict[str, Beats]) -> None:
        columns = COLUMNS | {TRACINGS: _TRACING_COLUMNS[self._kind]}
        ordered = [states[key] for key in sorted(states)]
        rows = {name: [row for stored in ordered for row in stored.rows.get(name, ())] for name in columns}
        rows[BEATS] = [row for file in sorted(beats) for row in beat_rows(file, beats[file])]
        tables = {
            name: "\n".join([",".join(columns[name]), *rows[name], ""]).encode()
            for name in (TRACINGS, REVIEWS, BEATS, LANDMARKS)
            if name in (TRACINGS, LANDMARKS) or rows[name] or name in self._hashes
        }
        after = {name: hashlib.sha256(table).hexdigest() for name, table in tables.items()}
        # until all tables are replaced, each may have its old or its new content
        self._hashes = {name: [*self._hashes.get(name, []), new] for name, new in after.items()}
        # `Files.csv` comes first, so that a file with corrections has its row
        hashes = {name: self._contents[name] for name in self._saved(states, beats) & self._contents.keys()}
        contents = {FILES: hash_table(hashes), CHECKSUMS: self._checksums_json(), **tables}
        replace_files({self.folder / name: partial(Path.write_bytes, data=text) for name, text in contents.items()})
        self._hashes = {name: [new] for name, new in after.items()}
        with contextlib.suppress(OSError):  # the changes are saved, and the checksums of before hold too
            replace_file(self.folder / CHECKSUMS, partial(Path.write_bytes, data=self._checksums_json()))

    def _checksums_json(self) -> bytes:
        return json.dumps(add_checksum(self._hashes)).encode()

    def _logged(self, file: str, line: dict[str, Any]) -> contextlib.AbstractContextManager[None]:
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        return _logged(self.folder / AUDIT, {"time": now, "file": file, **line})


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
    """Open and lock a file of the folder, so that a second review is refused.

    Windows and some file systems have no such lock; there, a second review is not noticed.

    Raises:
        DataError: Another review has locked it.
    """
    handle = (folder / ".lock").open("w")
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # the latter from file servers
            handle.close()
            raise DataError(
                f"{folder}: another 'echoseg review' uses this folder; close it, or give another folder by"
                " --corrections"
            ) from None
        except OSError:  # the file system has no locks
            pass
    return handle


def _in_one_line(text: str) -> str:
    """A text without line breaks and characters that cannot be printed."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())
