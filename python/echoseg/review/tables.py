"""The tables of the corrections folder: how states are written to rows and read again."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from echoseg.datasets.corrections import verify_checksums
from echoseg.errors import DataError
from echoseg.review.handles import ADDED, Drawing, Handles
from echoseg.utils.table import quote, read_numbers, read_table

LANDMARKS, REVIEWS, BEATS = "Landmarks.csv", "Reviews.csv", "Beats.csv"
VERDICTS = ("accepted", "rejected")
COLUMNS = {
    LANDMARKS: ("FileName", "X", "Y", "Frame", "Landmark", "Pinned"),
    REVIEWS: ("FileName", "Frame", "Verdict", "Note", "Points"),
    BEATS: ("FileName", "ED", "ES"),
}
_OLD_LANDMARKS = (*COLUMNS[LANDMARKS][:-1], "Held")  # written before the column was renamed

_NO_CONTOUR = "none"  # in place of points

Beats = tuple[tuple[int, int], ...]


class FrameState(NamedTuple):
    """What a person has done with a frame.

    Attributes:
        handles: The corrected points; None if the frame is not corrected.
        verdict: A name in `VERDICTS`; "" if there is none.
        note: A text in one line.
        accepted: Of a frame that was accepted as it was predicted: x and y of its predicted handles, one after the
            other; empty if no contour was predicted. None of other frames, and in folders of earlier versions.
    """

    handles: Handles | None = None
    verdict: str = ""
    note: str = ""
    accepted: tuple[float, ...] | None = None

    @property
    def is_reviewed(self) -> bool:
        """Whether the frame is corrected, accepted or rejected."""
        return self.handles is not None or bool(self.verdict)

    @property
    def is_kept(self) -> bool:
        """Whether the frame is corrected or accepted, so that its contour is the person's."""
        return self.handles is not None or self.verdict == "accepted"


def landmark_rows(file: str, frame: int, handles: Handles) -> list[str]:
    """The rows of `Landmarks.csv` for a corrected frame."""
    numbers = ["" if landmark == ADDED else landmark for landmark in handles.landmarks]
    return [
        f"{file},{x:.4f},{y:.4f},{frame},{number},{int(pinned)}"
        for (x, y), number, pinned in zip(handles.points, numbers, handles.pinned, strict=True)
    ]


def review_row(file: str, frame: int, state: FrameState) -> str:
    """The row of `Reviews.csv` for a frame with a verdict or a note."""
    line = io.StringIO()
    points = "" if state.accepted is None else " ".join(f"{value:.4f}" for value in state.accepted) or _NO_CONTOUR
    csv.writer(line, lineterminator="").writerow((file, frame, state.verdict, state.note, points))
    return line.getvalue()


def beat_rows(file: str, beats: Beats) -> list[str]:
    """The rows of `Beats.csv` for a file."""
    return [f"{file},{ed},{es}" for ed, es in beats]


def read_states(folder: Path, drawing: Drawing) -> dict[tuple[str, int], FrameState]:
    """Read the states of frames, by file and frame.

    Raises:
        DataError: A table is damaged or belongs to a run with other landmarks.
    """
    states = {key: FrameState(handles) for key, handles in _read_landmarks(folder / LANDMARKS, drawing).items()}
    for key, verdict, note, accepted in _read_reviews(folder / REVIEWS, drawing):
        handles = states.get(key, FrameState()).handles
        if handles is not None and verdict == "rejected":  # a change was interrupted between the tables
            verdict = ""
        states[key] = FrameState(handles, verdict, note, accepted if handles is None else None)
    return states


def read_beats(path: Path) -> dict[str, Beats]:
    """Read the chosen beats by file.

    Raises:
        DataError: The table is damaged.
    """
    beats: dict[str, Beats] = {}
    if _is_blank(path):
        return beats
    cells = read_table(path, COLUMNS[BEATS]).cells
    frames = _numbers(path, cells, ("ED", "ES"))
    for file, ed, es in zip(cells["FileName"], frames["ED"], frames["ES"], strict=True):
        beats[file] = (*beats.get(file, ()), (int(ed), int(es)))
    return {file: tuple(dict.fromkeys(chosen)) for file, chosen in beats.items()}  # earlier versions saved doubles


def _is_blank(path: Path) -> bool:
    """Whether a table is missing, or has a header only: everything was undone."""
    verify_checksums(path)
    return not path.exists() or path.read_bytes().count(b"\n") < 2


def _numbers(path: Path, cells: pd.DataFrame, names: Iterable[str], blank: str = "") -> dict[str, np.ndarray]:
    values = {}
    for name in names:
        values[name], bad = read_numbers(cells[name], blank=name == blank)
        for row, cell in cells[name][bad].items():
            raise DataError(f"{path}:{row}:{name}: {quote(cell)} is not a number; fix the cell or delete the file")
    return values


def _read_reviews(path: Path, drawing: Drawing) -> list[tuple[tuple[str, int], str, str, tuple[float, ...] | None]]:
    if _is_blank(path):
        return []
    cells = read_table(path, COLUMNS[REVIEWS][:-1], optional=COLUMNS[REVIEWS][-1:]).cells
    frames = _numbers(path, cells, ["Frame"])["Frame"]
    for row, verdict in cells["Verdict"].items():
        if verdict and verdict not in VERDICTS:
            raise DataError(f"{path}:{row}:Verdict: {quote(verdict)} is unknown; write {' or '.join(VERDICTS)}")
    texts = cells.get("Points", pd.Series("", index=cells.index))
    points = [_accepted_points(f"{path}:{row}:Points", text, drawing) for row, text in texts.items()]
    rows = zip(cells["FileName"], frames, cells["Verdict"], cells["Note"], points, strict=True)
    return [((file, int(frame)), verdict, note, accepted) for file, frame, verdict, note, accepted in rows]


def _accepted_points(place: str, text: str, drawing: Drawing) -> tuple[float, ...] | None:
    if text in ("", _NO_CONTOUR):
        return () if text else None
    try:
        values = tuple(map(float, text.split()))
    except ValueError:
        values = ()
    if len(values) != 2 * drawing.count or not np.isfinite(values).all():
        raise DataError(
            f"{place}: these are not the x and y of the run's {drawing.count} points; fix the cell, or give another"
            " folder by --corrections"
        )
    return values


def _read_landmarks(path: Path, drawing: Drawing) -> dict[tuple[str, int], Handles]:
    if _is_blank(path):
        return {}
    table = read_table(path, COLUMNS[LANDMARKS], _OLD_LANDMARKS).cells.rename(columns={"Held": "Pinned"})
    values = _numbers(path, table, ("X", "Y", "Frame", "Landmark", "Pinned"), blank="Landmark")
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
