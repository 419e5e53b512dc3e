"""What was understood of the files to segment: the statement that `predict` prints before it works."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError, printable
from echoseg.inference.input_files import InputFile
from echoseg.io.file_types import suffix_of
from echoseg.io.reading import open_volume
from echoseg.io.volume import is_volume
from echoseg.utils.parallel import map_in_order
from echoseg.utils.words import counted

_SHOWN = 4  # file types


def input_lines(files: Sequence[InputFile], structure: str | None) -> list[str]:
    """Describe the files to segment in a few lines; the headers of volumes are read.

    Args:
        files: The files, at least one.
        structure: The name of the structure that the run segments; None: the left ventricle.
    """
    types = Counter(suffix_of(file.path.name).lower() if file.path.is_file() else "series" for file in files)
    shown = ", ".join(f"{number} {kind or 'without suffix'}" for kind, number in types.most_common(_SHOWN))
    names: dict[str, list[str]] = defaultdict(list)
    for file in files:
        names[file.patient].append(file.path.name)
    examples = "; ".join(f"{patient}: {', '.join(names[patient][:2])}" for patient in list(names)[:2])
    listed = sum(file.recording is not None for file in files)
    truths = sum(file.truth is not None for file in files)
    sources = ", ".join(dict.fromkeys(file.patient_source for file in files))
    lines = [
        f"files: {len(files)} ({shown}{', …' if len(types) > _SHOWN else ''}), {listed} of them traced in a data set",
        f"patients: {len(names)}, {sources}; for example {examples} (change by --patients REGEX)",
        f"structure: {structure or LEFT_VENTRICLE}, which the run was trained on",
        *_axes([file.path for file in files if is_volume(file.path)]),
        "frame rate and spacing: those of the data set's list where it has them, else those of each file",
        *([f"true masks: of {counted(truths, 'file')} (change by --truth)"] if truths else []),
    ]
    return [printable(line) for line in lines]


def _axes(volumes: Sequence[Path]) -> Iterator[str]:
    """What the axes of volumes were taken for; no line without volumes that can be read."""
    kinds: Counter[str] = Counter()
    guessed = 0
    for kind, is_guessed in map_in_order(_kind, volumes):
        kinds[kind] += 1
        guessed += is_guessed
    del kinds[""]
    if kinds:
        listed = ", ".join(f"{kind} {number}" for kind, number in sorted(kinds.items()))
        yield f"axes of volumes, by their headers: {listed}; {guessed or 'none'} of them guessed (change by --axis3)"


def _kind(path: Path) -> tuple[str, bool]:
    """What a volume is, "" if it cannot be read; and whether this had to be guessed."""
    try:
        volume = open_volume(path)
    except DataError:  # its row of results has the reason
        return "", False
    kind = "films" if math.isnan(volume.thickness) else "stacks of slices"
    kind = "stacks over time" if volume.time_points > 1 else "images" if volume.shape[0] == 1 else kind
    return kind, "--axis3" in volume.note
