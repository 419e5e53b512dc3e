"""What a run folder tells a reader: no names of people or machines, and no paths."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.errors import DataError
from echoseg.report.data_sets import SYNTHETIC, UNKNOWN, data_set
from echoseg.training.checkpoint import CONFIG
from echoseg.training.config import Config, load_config
from echoseg.utils.checksum import verify_checksum

SPLITS = ("test", "val", "train", "all")

OWN = "data of the user's own"


@dataclass(frozen=True)
class Run:
    """A run as read.

    Attributes:
        folder: of the run.
        name: of the folder.
        data: name of the data set where it is known, `OWN` where not; with names, that of its folder.
        config: as trained.
        metrics: an entry a split, "test" first; empty where none was evaluated.
        environment: of the training, flat, each value as text; with names, the command too, its paths reduced to their
            last part.
    """

    folder: Path
    name: str
    data: str
    config: Config
    metrics: dict[str, dict[str, Any]]
    environment: dict[str, str]

    def table(self, name: str) -> pd.DataFrame | None:
        """A CSV file of the folder; None where there is none.

        Raises:
            DataError: damaged.
        """
        path = self.folder / name
        if not path.exists():
            return None
        try:
            return pd.read_csv(path, dtype={"video": str, "patient": str}, keep_default_na=True)
        except (ValueError, csv.Error) as error:
            raise DataError(f"{path}: damaged ({error}); evaluate the run again") from None


def read_run(folder: Path, *, names: bool = False) -> Run:
    """Read a run folder.

    Args:
        folder: of the run.
        names: tell folders by name too: who named the data's after a patient need not know that it is passed on.

    Raises:
        DataError: no run, or a damaged file in it.
    """
    if not (folder / CONFIG).is_file():
        raise DataError(f"{folder}: no run folder ({CONFIG} is missing); make one with 'echoseg train --out {folder}'")
    config = load_config(folder / CONFIG)
    metrics = _read_metrics(folder / "metrics.json")
    environment = _flat(_read_json(folder / "environment.json", "delete it"))
    data = SYNTHETIC if config.data is None else without_folders(config.data)
    if not names:
        environment.pop("command", None)
        known, licence = data_set(data)
        data = OWN if licence == UNKNOWN else known
    return Run(folder, folder.resolve().name, data, config, metrics, environment)


def without_folders(text: str) -> str:
    """The last part of a path, or of a flag's value that is one; any other text as it is."""
    flag, equals, value = text.partition("=") if text.startswith("--") else ("", "", text)
    return flag + equals + re.split(r"[\\/]", value.rstrip("\\/"))[-1]


def _read_json(path: Path, cure: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(values, dict):
            raise ValueError("no object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({error}); {cure}") from None
    return values


def _read_metrics(path: Path) -> dict[str, dict[str, Any]]:
    cure = "delete it and evaluate the run again"
    metrics = _read_json(path, cure)
    if unknown := metrics.keys() - SPLITS:
        raise DataError(f"{path}: damaged (no split is called {min(unknown)!r}); {cure}")
    try:
        return {split: verify_checksum(metrics[split]) for split in SPLITS if split in metrics}
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); {cure}") from None


def _flat(values: dict[str, Any], before: str = "") -> dict[str, str]:
    rows: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            rows |= _flat(value, f"{before}{name} ")
        else:
            parts = value if isinstance(value, list) else [value]
            rows[before + name] = " ".join(without_folders(str(part)) for part in parts)
    return rows
