"""What was understood of a data set: the statement that is printed before work begins, and kept in the store."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from echoseg.datasets.recording import Dataset, Fault, Recording
from echoseg.errors import printable
from echoseg.utils.words import counted

NOTICE = (logging.INFO + logging.WARNING) // 2
"""Level of the statement in the log: more than the lines of each epoch, less than a warning."""
_EXAMPLES = 2
_REASONS, _NOTES = 3, 3  # lines of the statement are few; the manifest holds all


def describe_dataset(dataset: Dataset, format: str) -> dict[str, Any]:
    """Describe what was understood of a data set, in types that JSON has.

    Args:
        dataset: The data set.
        format: The name of its format.

    Returns:
        `format`, `folder`, `files`, `traced` (frames), `patients` (number, source, examples), `splits` (given split →
        number of patients, and patients in two splits), `structure`, `label`, `tracings` ("chords" or "points"),
        `stacks` (number of files that are stacks of slices), `spacing_mm` and `thickness_mm` and `fps` (smallest and
        largest, None if unknown), `left_out` (reason → number), `empty` (frames without a tracing) and `notes`.
    """
    recordings = dataset.recordings
    files: dict[str, list[str]] = defaultdict(list)
    for recording in recordings:
        files[recording.patient].append(recording.name)
    return {
        "format": format,
        "folder": str(dataset.folder.resolve()),
        "files": len(recordings),
        "traced": sum(len(recording.tracings) for recording in recordings),
        "patients": {
            "number": len(files),
            "source": dataset.patients,
            "examples": {
                name: files[name][:_EXAMPLES] for name in sorted(files, key=lambda name: -len(files[name]))[:2]
            },
        },
        "splits": _describe_splits(recordings),
        "structure": dataset.structure,
        "label": dataset.label,
        "tracings": dataset.kind,
        "stacks": sum(math.isfinite(recording.thickness) for recording in recordings),
        "spacing_mm": _range(side for recording in recordings for side in recording.spacing),
        "thickness_mm": _range(recording.thickness for recording in recordings),
        "fps": _range(recording.fps for recording in recordings),
        "left_out": count_reasons(dataset.faults),
        "empty": dataset.empty,
        "notes": list(dataset.notes),
    }


def count_reasons(faults: Sequence[Fault]) -> dict[str, int]:
    """Count faults by their reason, in which names and numbers are replaced by "…"; the most frequent comes first."""
    reasons = (re.sub(r"'[^']*'|\S*\d\S*", "…", fault.reason.split(";")[0]) for fault in faults)
    return dict(Counter(reasons).most_common())


def log_statement(manifest: Mapping[str, Any]) -> None:
    """Log what was understood of the data set that a store is made from, if its manifest says so."""
    if "understood" in manifest:
        logging.getLogger("echoseg").log(NOTICE, "%s", "\n".join(statement_lines(manifest["understood"])))


def statement_lines(understood: Mapping[str, Any]) -> list[str]:
    """The statement in at most twelve lines, each with the flag that overrules it, if there is one.

    Args:
        understood: The result of `describe_dataset`.
    """
    patients, splits = understood["patients"], understood["splits"]
    examples = "; ".join(
        patient if names == [patient] else f"{patient} of {', '.join(names)}"
        for patient, names in patients["examples"].items()
    )
    given = ", ".join(f"{name} {number}" for name, number in splits["patients"].items())
    label = understood["label"] or f"traced as {understood['tracings']}"
    lines = [
        f"data: {understood['format']}, {counted(understood['files'], 'file')} with "
        f"{counted(understood['traced'], 'traced frame')}, in "
        f"{understood['folder']}",
        f"patients: {patients['number']}, {patients['source']}; for example {examples} (change by --patients REGEX)",
        f"splits: {f'given, patients: {given}' if given else 'none given, drawn by patient'}"
        " (change by --split-shares, --test-fold)",
        f"structure: {understood['structure']}, {label} (change by --structure NAME, or labels in dataset.json)",
        f"axes: {understood['stacks'] or 'no'} stacks of slices, {understood['files'] - understood['stacks'] or 'no'} "
        "images or films (change by --axis3)",
        f"spacing: {_millimetres(understood)}",
        f"frame rate: {_text(understood['fps'], 'per second') or 'not listed; that of each file'}",
    ]
    if both := splits["in_two"]:
        lines[2] += f"; in two splits, which training refuses: {', '.join(both[:3])}"
    if left_out := understood["left_out"]:
        listed = [f"{number} × {reason}" for reason, number in left_out.items()]
        more = [f"{len(listed) - _REASONS} other reasons"] if len(listed) > _REASONS else []
        lines.append(f"left out: {sum(left_out.values())}: {'; '.join([*listed[:_REASONS], *more])}")
    notes = understood["notes"]
    lines += [f"note: {note}" for note in notes[:_NOTES]]
    lines += [f"and {len(notes) - _NOTES} more notes in the store's manifest.json"] if len(notes) > _NOTES else []
    return [printable(line) for line in lines]


def _describe_splits(recordings: Sequence[Recording]) -> dict[str, Any]:
    given: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        if cell := recording.split.strip().lower():
            given[cell].add(recording.patient)
    uses = Counter(patient for patients in given.values() for patient in patients)
    return {
        "patients": {cell: len(patients) for cell, patients in sorted(given.items())},
        "in_two": sorted(patient for patient, number in uses.items() if number > 1),
    }


def _range(values: Iterable[float]) -> list[float] | None:
    """The smallest and the largest of the numbers that are finite."""
    known = [float(value) for value in values if math.isfinite(value)]
    return [min(known), max(known)] if known else None


def _millimetres(understood: Mapping[str, Any]) -> str:
    """Pixel size and distance of slices, for the statement."""
    pixels, slices = (_text(understood[name], "mm") for name in ("spacing_mm", "thickness_mm"))
    if not pixels:
        return "not listed; that of each file, if it has one"
    return f"pixels {pixels}{f', slices {slices}' if slices else ''}, by the headers of the files"


def _text(limits: Sequence[float] | None, unit: str) -> str:
    if limits is None:
        return ""
    low, high = (f"{limit:.4g}" for limit in limits)
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
