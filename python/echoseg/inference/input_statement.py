"""What was understood of the files to segment: the statement that `predict` prints before it works."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import printable
from echoseg.inference.archive import InputFile

_SHOWN = 4  # file types


def input_lines(files: Sequence[InputFile], structure: str | None) -> list[str]:
    """Describe the files to segment in a few lines.

    Args:
        files: The files, at least one.
        structure: The name of the structure that the run segments; None: the left ventricle.
    """
    types = Counter("".join(file.path.suffixes[-2:]).lower() if file.path.is_file() else "series" for file in files)
    shown = ", ".join(f"{number} {kind or 'without suffix'}" for kind, number in types.most_common(_SHOWN))
    names: dict[str, list[str]] = defaultdict(list)
    for file in files:
        names[file.patient].append(file.path.name)
    examples = "; ".join(f"{patient}: {', '.join(names[patient][:2])}" for patient in list(names)[:2])
    listed = sum(file.recording is not None for file in files)
    truths = sum(file.truth is not None for file in files)
    lines = [
        f"files: {len(files)} ({shown}{', …' if len(types) > _SHOWN else ''}), {listed} of them traced in a data set",
        f"patients: {len(names)}, {'by the data set' if listed == len(files) else 'by the names of the files'}; for "
        f"example {examples}",
        f"structure: {structure or LEFT_VENTRICLE}, which the run was trained on",
        "frame rate and spacing: those of the data set's list where it has them, else those of each file",
    ]
    return [
        printable(line) for line in lines + ([f"true masks: of {truths} files (change by --truth)"] if truths else [])
    ]
