"""The settings of a training run in files: read from YAML, and which of them to keep out of what is passed on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from echoseg.errors import DataError
from echoseg.training.config import PHANTOM, SHIPPED, Config
from echoseg.training.presets import PRESETS
from echoseg.training.splits import NO_TEST


def load_config(path: Path | None, **overrides: Any) -> Config:
    """Read settings from a YAML file.

    The settings of a preset replace the defaults where the file names it, and the file's settings where ``overrides``
    do.

    Args:
        path: The file; None takes the defaults.
        **overrides: Settings that replace those of the file.

    Raises:
        DataError: The file is not YAML or not a mapping, or a setting is unknown or has an invalid value.
        OSError: The file cannot be read.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
            raise DataError(f"{place}: not a YAML file ({error.problem}); fix it") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a YAML file ({' '.join(str(error).split())[:300]})") from error
        if not isinstance(values, dict):
            raise DataError(f"{path}: expected lines like 'epochs: 20'")
    known = {field.name for field in dataclasses.fields(Config)}
    for names, place in ((values, f"{path}: "), (overrides, "")):
        if unknown := sorted(map(str, names.keys() - known)):
            raise DataError(f"{place}unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    approach = {**values, **overrides}.get("approach")
    presets = [_preset(str(given.get("preset")), approach) for given in (values, overrides)]
    given = {**presets[1], **overrides}
    if given.keys() & {"data", "patients", "test_fold", "folds", "split_shares", "split_counts", "split_by"}:
        for name in ("split_boundaries", "split_start"):  # those of other splits
            values.pop(name, None)
    elif values.get("validation") == "none" != given.get("validation", "none") and values.get("split_start") is None:
        values.pop("split_boundaries", None)  # they need not leave a patient for validation
    try:
        return Config(**{**presets[0], **values, **given})
    except ValueError as error:
        raise DataError(f"{path}: {error}" if path else str(error)) from None


def _preset(name: str, approach: object) -> dict[str, Any]:
    """The settings of a preset, and its approach; empty for an unknown name, which `Config` reports.

    Raises:
        DataError: The preset has no settings for the approach.
    """
    by_approach = PRESETS.get(name)
    if by_approach is None:
        return {}
    if approach is None:
        approach = Config.approach if Config.approach in by_approach else next(iter(by_approach))
    if approach not in by_approach:
        raise DataError(
            f"preset {name} has no settings for the approach {approach}; it is for {', '.join(by_approach)}"
        )
    return {"approach": approach, **by_approach[str(approach)]}


def private_settings(config: Config) -> list[str]:
    """The settings whose values may hold a path, a rule for names or a patient's name."""
    names = ["corrections", "patients"]
    names += [] if config.init in (SHIPPED, "none") else ["init"]
    names += [] if config.rehearse == PHANTOM else ["rehearse"]
    fold = config.test_fold
    is_number = fold is None or fold == NO_TEST or (fold.isdigit() and len(fold) < 3)
    names += [] if is_number else ["test_fold"]
    return [name for name in names if getattr(config, name)]
