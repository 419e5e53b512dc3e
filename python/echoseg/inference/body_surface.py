"""The body surface area of patients, by which volumes are divided: one number, or a column of a table."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from echoseg.errors import DataError
from echoseg.utils.table import quote, read_numbers, read_table

_COLUMNS = ("patient", "bsa")
_LIMITS = (0.1, 4.0)  # m²; a newborn has about 0.2, and a value in cm² or kg is far above


def body_surface_areas(source: float | str | os.PathLike[str], patients: Collection[str]) -> dict[str, float]:
    """Find the body surface area of each patient.

    Args:
        source: The area of the only patient in m²; or a CSV file with the columns `patient` and `bsa`.
        patients: The names of the patients.

    Returns:
        Patient → m²; patients without a value are left out.

    Raises:
        DataError: A value is no area in m², one number is given for several patients, or the table is damaged, names a
            patient twice or none of `patients`.
    """
    patients = sorted(set(patients))
    try:
        area = float(source)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        areas = _read_table(Path(source))  # type: ignore[arg-type]
        found = {patient: areas[patient] for patient in patients if patient in areas}
        if not found:
            names = ", ".join(patients)[:200]
            raise DataError(f"{source}: has no body surface area of any patient of the input ({names})") from None
        return found
    if not _LIMITS[0] <= area <= _LIMITS[1]:
        raise DataError(f"body surface area {area:g}: expected m², from {_LIMITS[0]} to {_LIMITS[1]}")
    if len(patients) > 1:
        raise DataError(
            f"one body surface area for {len(patients)} patients ({', '.join(patients)[:200]}); give a table with the "
            f"columns {', '.join(_COLUMNS)}"
        )
    return dict.fromkeys(patients, area)


def _read_table(path: Path) -> dict[str, float]:
    """Patient → m², of the rows with a value."""
    table = read_table(path, _COLUMNS)
    cells = table.cells
    values, bad = read_numbers(cells["bsa"], blank=True, decimal=table.decimal, units=("m²", "m2"))
    areas: dict[str, float] = {}
    for row, patient, cell, value, wrong in zip(
        cells.index, cells["patient"].str.strip(), cells["bsa"], values, bad, strict=True
    ):
        if wrong or value < _LIMITS[0] or value > _LIMITS[1]:
            limits = f"from {_LIMITS[0]} to {_LIMITS[1]}"
            raise DataError(f"{path}:{row}:bsa: {quote(cell)} is no body surface area in m², {limits}; correct it")
        if value == value and areas.setdefault(patient, value) != value:
            raise DataError(f"{path}:{row}:patient: {quote(patient)} has another value above; keep one")
    return areas
