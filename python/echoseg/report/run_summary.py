"""The content of a run folder, for reports that are passed on: without names of people, machines and folders."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError
from echoseg.report.licences import SYNTHETIC, UNKNOWN, find_licence
from echoseg.training.checkpoint import CONFIG
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.utils.checksum import verify_checksum

SPLITS = ("test", "val", "train", "all")

_NAMES = ("video", "patient")  # columns in which words such as NA are no missing values
PRIVATE_DATA = "the user's own data"
HIDDEN = "not shown"
"""Stands for a value that may contain a name."""


@dataclass(frozen=True)
class RunSummary:
    """The content of a run folder.

    Attributes:
        folder: The run folder.
        name: The name of the folder.
        data: The name of the data set if it is a known one, else `PRIVATE_DATA`; if names are shown, the name of its
            folder.
        config: The settings of the training.
        metrics: By split, the metrics of the evaluation, "test" first; empty if no split was evaluated.
        environment: The software and the machine of the training, by name, as text; if names are shown, also the
            command, without the folders of its paths.
    """

    folder: Path
    name: str
    data: str
    config: Config
    metrics: dict[str, dict[str, Any]]
    environment: dict[str, str]

    @property
    def structure(self) -> str:
        """The name of what the run segments."""
        return self.config.structure or LEFT_VENTRICLE

    def table(self, name: str) -> pd.DataFrame | None:
        """Read a CSV file of the folder.

        Args:
            name: The name of the file.

        Returns:
            The table; None if there is no such file.

        Raises:
            DataError: The file is damaged.
        """
        path = self.folder / name
        if not path.exists():
            return None
        try:
            names = pd.read_csv(path, usecols=lambda name: name in _NAMES, dtype=str, na_filter=False)
            return pd.read_csv(path).assign(**names)
        except (ValueError, csv.Error) as error:
            raise DataError(f"{path}: is damaged ({error}); run 'echoseg evaluate' again") from None


def read_run_summary(folder: Path, *, names: bool = False) -> RunSummary:
    """Read a run folder.

    Args:
        folder: The run folder.
        names: Include the name of the data's folder and the command. Such a name may identify a patient.

    Raises:
        DataError: The folder is not a run folder, or a file in it is damaged.
    """
    if not (folder / CONFIG).is_file():
        raise DataError(f"{folder}: is not a run folder ({CONFIG} is missing); make one with 'echoseg train'")
    config = load_config(folder / CONFIG)
    metrics = _read_metrics(folder / "metrics.json")
    environment = _flatten(_read_json(folder / "environment.json", "delete it"))
    data = SYNTHETIC if config.data is None else last_part(config.data)
    if not names:
        environment.pop("command", None)
        known, licence = find_licence(data)
        data = PRIVATE_DATA if licence == UNKNOWN else known
    return RunSummary(folder, folder.resolve().name, data, config, metrics, environment)


def last_part(text: str) -> str:
    """The last part of a path, or of a flag whose value is a path; any other text is returned unchanged."""
    flag, equals, value = text.partition("=") if text.startswith("--") else ("", "", text)
    return flag + equals + re.split(r"[\\/]", value.rstrip("\\/"))[-1]


def _read_json(path: Path, cure: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not isinstance(values, dict):
            raise ValueError("it does not hold an object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is damaged ({error}); {cure}") from None
    return values


def _read_metrics(path: Path) -> dict[str, dict[str, Any]]:
    cure = "delete it and run 'echoseg evaluate' again"
    metrics = _read_json(path, cure)
    if unknown := metrics.keys() - SPLITS:
        raise DataError(f"{path}: is damaged (there is no split {min(unknown)!r}); {cure}")
    try:
        return {split: verify_checksum(metrics[split]) for split in SPLITS if split in metrics}
    except ValueError as error:
        raise DataError(f"{path}: is damaged ({error}); {cure}") from None


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    rows: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            rows |= _flatten(value, f"{prefix}{name} ")
        else:
            parts = value if isinstance(value, list) else [value]
            rows[prefix + name] = " ".join(last_part(str(part)) for part in parts)
    return rows
