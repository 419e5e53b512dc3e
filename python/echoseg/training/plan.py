"""Chooses the settings that a training leaves open, from the data and the device, and says why.

Settings that are given, by a flag, a file, Python or the preset of a paper, are kept.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from echoseg.datasets.split import SPLIT_WORDS
from echoseg.datasets.store import Store
from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_elongation
from echoseg.geometry.ragged import pad_contours
from echoseg.models.codec import scheme_for
from echoseg.models.weights import weights_folder
from echoseg.training.batch_size import BATCH, choose_batch_size, scale_learning_rate
from echoseg.training.checkpoint import CONFIG
from echoseg.training.config import SHIPPED, Config
from echoseg.training.config_file import load_config
from echoseg.training.copies import COPIES
from echoseg.training.distributed import Ranks
from echoseg.training.optimization import faster_precision
from echoseg.training.splits import find_boundaries, traced_patients
from echoseg.utils.words import counted

PLAN = "plan.json"
FEW_PATIENTS = 8
"""With fewer patients, none is held back for validation."""
FEW_TO_INIT = 20
"""With at most so many patients to learn from, a training starts from the weights that ship."""
ROUND = 1.3
"""Contours are round if their median elongation is less. It is 1.1 in short-axis slices, 1.9 in apical views."""
_SHORT_AXIS = ("PSAX", "SAX")
_TURNS = {"rotation": 180.0, "flip": 0.5}
_SHORT_AXIS_OTHERS = {"shift": 0.15, "gain": 0.4, "shade": 0.4, "gamma": 0.4, "noise": 0.1}
_ORIENTED = {"rotation": 20.0, "flip": 0.0, "shift": 0.1, "gain": 1.0, "shade": 1.5, "gamma": 0.5, "noise": 0.2}
_MIN_EPOCHS, _IMAGES = 10, 12_800
_OF_SHIPPED = ("size", "network", "width", "depth", "norm", "attention", "skips", "bottleneck")
"""Settings that a training shares with the networks that ship, to start from their weights."""
_DEFAULTS = {
    "size": "the default, that of EchoNet-Dynamic",
    "fov_mm": "the default, the whole frame",
    "zoom": "the default",
    "landmarks": "the default; the curve through 9 landmarks errs less than the networks do",
}
"""Settings with a default that does not depend on the data, and its reason."""


class Choice(NamedTuple):
    """A setting's value, why it was chosen, and whether the data at hand were the reason."""

    value: Any
    reason: str
    from_data: bool = False


@dataclass(frozen=True)
class Plan:
    """The settings of a training, and why those were chosen that had been left open.

    Attributes:
        config: The settings.
        choices: By the name of a setting, the choice.
    """

    config: Config
    choices: dict[str, Choice]

    def filled(self, choices: dict[str, Choice]) -> Plan:
        """Return a plan with the choices of settings that are still open."""
        new = {name: choice for name, choice in choices.items() if getattr(self.config, name) in (None, "auto")}
        return Plan(self.config, self.choices | new).changed(**{name: choice.value for name, choice in new.items()})

    def changed(self, **settings: Any) -> Plan:
        """Return a plan with other settings, without a reason."""
        return dataclasses.replace(self, config=dataclasses.replace(self.config, **settings))

    def lines(self) -> list[str]:
        """Return a line for each setting that the data decided."""
        from_data = {name: choice for name, choice in self.choices.items() if choice.from_data}
        values = {name: f"{value:g}" if isinstance(value, float) else value for name, (value, *_) in from_data.items()}
        return [f"plan: {name} {values[name]} ({choice.reason})" for name, choice in from_data.items()]

    def save(self, path: Path) -> None:
        """Write value and reason of each choice as JSON."""
        entries = {name: {"value": value, "reason": reason} for name, (value, reason, _) in self.choices.items()}
        path.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def make_plan(config: Config, store: Store, device: torch.device, ranks: Ranks | None = None) -> Plan:
    """Choose the settings that were left open.

    For a cross-validation, what depends on the training images stays open: each fold has a plan of its own.

    Args:
        config: The settings.
        store: The data.
        device: Device of this rank.
        ranks: bfloat16 is chosen only if it is faster on all of them.

    Raises:
        DataError: The store's tracings do not have what the landmark scheme needs, its splits cannot be used, or
            patience is given without a validation.
    """
    defaults = {name: Choice(getattr(config, name), reason) for name, reason in _DEFAULTS.items()}
    kept = {name: choice for name, choice in defaults.items() if choice.value == getattr(Config, name)}
    if config.approach == "mask":
        kept.pop("landmarks", None)
    plan = Plan(dataclasses.replace(config, structure=store.structure), kept)
    plan = plan.filled(_validation(config, store)).filled(_augmentation(store))
    if plan.config.patience is not None and plan.config.validation == "none":
        raise DataError(
            f"patience {config.patience} counts epochs without a higher validation Dice, but validation is none; leave "
            "out patience, or set validation to split"
        )
    if config.approach == "landmark":
        reason = f"the tracings are {'chords' if store.has_chords else 'lists of points'}"
        plan = plan.filled({"scheme": Choice(scheme_for(store, config.scheme), reason)})
    if config.folds is None:
        plan = plan.changed(split_boundaries=find_boundaries(plan.config, store.samples))
        plan = plan.filled(_initial_weights(plan.config, store))
        plan = plan.filled({"learning_rate": _learning_rate(plan.config, store)})
        plan = _with_length(plan, store, device, ranks or Ranks())
    return plan.filled({"precision": _precision(device, ranks or Ranks())}) if config.precision == "auto" else plan


def _validation(config: Config, store: Store) -> dict[str, Choice]:
    patients = len(set(traced_patients(store.samples)))
    words = store.samples["split"].str.strip().str.lower()
    if config.split_shares or config.split_counts:
        choice = Choice("split", "a part of the patients was asked for")
    elif config.folds is None and "val" in words.map(SPLIT_WORDS).tolist():
        choice = Choice("split", "the data name the patients to validate on")
    elif config.patience is not None:
        choice = Choice("split", "patience was asked for")
    elif patients < FEW_PATIENTS:
        reason = f"{counted(patients, 'patient')}, too few to hold some back; the last weights are kept"
        calibration = "" if config.folds else ", and without --folds nothing is calibrated"
        choice = Choice("none", reason + calibration, from_data=True)
    else:
        choice = Choice("split", f"{patients} patients, enough to hold some back")
    return {"validation": choice}


def _augmentation(store: Store) -> dict[str, Choice]:
    seen = _short_axis(store)
    if seen is not None:
        reasons = dict.fromkeys(_TURNS, f"slices of the short axis have no fixed orientation; {seen}")
        reasons |= dict.fromkeys(_SHORT_AXIS_OTHERS, f"as measured on slices of the short axis; {seen}")
        values = _TURNS | _SHORT_AXIS_OTHERS
        return {name: Choice(values[name], reason, from_data=True) for name, reason in reasons.items()}
    views = _views(store)
    seen = f"view {' and '.join(views)}" if views else f"elongation of the contours {_median_elongation(store):.2f}"
    return {
        name: Choice(value, f"the default for images with a fixed orientation; {seen}")
        for name, value in _ORIENTED.items()
    }


def _short_axis(store: Store) -> str | None:
    """What shows that the images are slices of the short axis; None if they are not."""
    if views := _views(store):
        return f"view {' and '.join(views)}" if set(views) <= set(_SHORT_AXIS) else None
    elongation = _median_elongation(store)
    return f"round contours, elongation {elongation:.2f}" if elongation < ROUND else None


def _views(store: Store) -> list[str]:
    """The known views of the traced images."""
    return sorted(set(store.samples["view"][~store.blank]) - {""})


def _median_elongation(store: Store) -> float:
    return float(np.median(_elongations(store, np.flatnonzero(~store.blank))))


def _initial_weights(config: Config, store: Store) -> dict[str, Choice]:
    training = store.samples[config.splits(store.samples) == "train"]
    patients = len(set(traced_patients(training)))
    shipped = load_config(weights_folder(config.approach) / CONFIG)
    if config.preset is not None:
        choice = Choice("none", "the work of this preset starts from random weights")
    elif store.manifest.get("source", "").startswith("phantom"):
        choice = Choice("none", "the networks that ship have learned from such phantoms")
    elif not _is_apical(store) or any(getattr(config, name) != getattr(shipped, name) for name in _OF_SHIPPED):
        choice = Choice("none", "the networks that ship are for other images or have other layers")
    elif patients > FEW_TO_INIT:
        choice = Choice("none", f"{patients} patients to learn from; measured with at most {FEW_TO_INIT}")
    else:
        reason = f"only {counted(patients, 'patient')} to learn from, and the network that ships knows such views"
        choice = Choice(SHIPPED, reason, from_data=True)
    return {"init": choice}


def _is_apical(store: Store) -> bool:
    """Whether the images are of the kind that the networks that ship know."""
    return store.structure == LEFT_VENTRICLE and _short_axis(store) is None


def _learning_rate(config: Config, store: Store) -> Choice:
    if config.init == "none":
        return Choice(3e-3, "the default")
    if config.init == SHIPPED and not _is_apical(store):
        return Choice(3e-3, "the default: the network that ships does not know such images")
    return Choice(1e-3, "a third of the default: the weights have learned already, and should not forget", True)


def _elongations(store: Store, indices: np.ndarray) -> np.ndarray:
    """(n,) elongations of contours, in mm where the spacing is known, else in pixels of the original frames."""
    samples = store.samples.iloc[indices]
    spacing = samples[["spacing_x", "spacing_y"]].to_numpy()
    crop = samples[["crop_width", "crop_height"]].to_numpy() / store.size[::-1]
    scale = np.where(np.isfinite(spacing), spacing, crop)
    return contour_elongation(pad_contours(store.points, store.offsets)[indices] * scale[:, None])


def _with_length(plan: Plan, store: Store, device: torch.device, ranks: Ranks) -> Plan:
    """The plan with the number of epochs and the batch size, which depend on the training images."""
    config = plan.config
    if config.epochs is not None and config.batch_size is not None:
        return plan
    training = config.splits(store.samples) == "train"
    copies = 1 + len(COPIES) * config.fixed_copies
    images = np.count_nonzero(training & ~store.blank) * copies  # a network would see less of what it has to find
    epochs = max(_MIN_EPOCHS, math.ceil(_IMAGES / max(1, images)))
    reason = f"{_IMAGES:,} images, at least {_MIN_EPOCHS} epochs; an epoch has {images:.0f}"
    plan = plan.filled({"epochs": Choice(epochs, reason, from_data=True)})
    if config.batch_size is None:
        assert plan.config.epochs is not None
        usable = training & (~store.blank | config.learns_blanks)
        total = round(plan.config.epochs * np.count_nonzero(usable) * copies)
        channels = 1 if config.approach == "mask" else config.landmarks
        alone = device if ranks.count == 1 else torch.device("cpu")
        batch = choose_batch_size(total, config.size, config.width, channels, alone)
        plan = plan.filled({"batch_size": Choice(batch, f"for the device {alone.type} and {total:,} images in all")})
        assert config.learning_rate is not None
        rate = scale_learning_rate(config.learning_rate, batch)
        if rate != config.learning_rate:
            given = plan.choices.get("learning_rate", Choice(config.learning_rate, "as given"))
            reason = f"{given.reason}; {config.learning_rate:g} for {BATCH} images, scaled to batches of {batch}"
            plan = Plan(plan.config, plan.choices | {"learning_rate": given._replace(value=rate, reason=reason)})
            plan = plan.changed(learning_rate=rate)
    return plan


def _precision(device: torch.device, ranks: Ranks) -> Choice:
    faster = ranks.sum(torch.tensor(float(faster_precision(device) == "bfloat16"), device=device)).item()
    if faster == ranks.count:
        return Choice("bfloat16", f"the device {device.type} has instructions for it")
    return Choice("float32", f"the device {device.type} has no instructions for bfloat16")
