"""Everything that decides a training run, in one flat, frozen record."""

from __future__ import annotations

import contextlib
import dataclasses
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import yaml

from echoseg.data.split import assign_splits
from echoseg.errors import DataError
from echoseg.geometry.contour import ORDERINGS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

APPROACHES = ("mask", "landmark")


def _setting(default: Any, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True)
class Config:
    """A resolved configuration; ``config.yaml`` of a run holds it.

    Raises:
        DataError: a value of the wrong type or outside its limits.
    """

    approach: str = _setting("landmark", "what the network learns", choices=APPROACHES)
    data: str | None = _setting(None, "folder with tracings, or a store; default: a phantom, made once and kept")
    size: tuple[int, int] = _setting(
        (112, 112), "height and width of the network's frames, pixels", least=16, most=4096
    )
    ordering: str | None = _setting(
        None, "how a tracing becomes a contour; default: its own order", choices=tuple(ORDERINGS)
    )
    test_fold: str | None = _setting(None, "where Split holds fold numbers: the fold to test on; default: the last")
    validation: str = _setting(
        "split",
        "none: the validation patients train too, and the last weights are kept, not the best",
        choices=("split", "none"),
    )
    seed: int = _setting(0, "of weights, shuffling and augmentation", least=0, most=2**32 - 1)
    device: str = _setting("auto", "auto, cpu, cuda or cuda:N")

    epochs: int | None = _setting(
        None, "passes over the training images; default: 10, or 6,400 images", least=1, most=1000000
    )
    batch_size: int = _setting(16, "images a step", least=1, most=4096)
    learning_rate: float = _setting(
        3e-3, "the largest of the schedule (warm-up, then cosine to zero)", above=0, most=10
    )
    weight_decay: float = _setting(1e-2, "of AdamW", least=0, most=10)

    width: int = _setting(16, "channels of the U-Net's first level", least=1, most=512)
    depth: int = _setting(4, "poolings of the U-Net", least=1, most=8)

    landmarks: int = _setting(7, "landmarks a contour", least=3, most=256)
    sigma: float = _setting(2.5, "of the heatmaps' Gaussian, pixels", least=0.1, most=1000)
    radius: float = _setting(10.0, "heatmaps are zero beyond it, pixels", least=0.1, most=10000)
    band_kernel: int = _setting(3, "side of the square that cuts the border band, pixels", least=1, most=255)
    band_iterations: int = _setting(2, "how often it dilates and erodes", least=1, most=100)

    rotation: float = _setting(20.0, "augmentation: largest turn, degrees", least=0, most=180)
    zoom: float = _setting(0.25, "augmentation: largest change of scale, share", least=0, most=0.9)
    shift: float = _setting(0.1, "augmentation: largest shift, share of the frame", least=0, most=1)
    gamma: float = _setting(
        0.5, "augmentation: largest change of the grey curve's exponent, logarithm", least=0, most=3
    )
    gain: float = _setting(
        1.0, "augmentation: largest change of brightness, logarithm; what exceeds 255 is cut", least=0, most=5
    )
    shade: float = _setting(
        1.5, "augmentation: largest brightening from one side to the other, logarithm", least=0, most=5
    )
    noise: float = _setting(0.2, "augmentation: largest speckle, share of a pixel's value", least=0, most=5)

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config).items():
            object.__setattr__(self, name, _converted(name, getattr(self, name), kind))
        for setting in dataclasses.fields(self):
            _check_limits(setting.name, getattr(self, setting.name), setting.metadata)
        unit = 2**self.depth
        if any(side % unit or side == unit for side in self.size):
            raise DataError(
                f"size {self.size[0]}x{self.size[1]}: both sides must be 2, 3, … times {unit} (2 to the depth)"
            )
        if self.data is not None:
            if not self.data:
                raise DataError("data is empty; name a folder, or leave it out to train on a phantom")
            object.__setattr__(self, "data", str(Path(self.data).resolve()))

    def splits(self, samples: pd.DataFrame) -> NDArray[np.str_]:
        """(N,) "train", "val" or "test" for each row of a store's table of samples.

        Raises:
            DataError: see ``data.split.assign_splits``.
        """
        return assign_splits(
            samples["split"], samples["patient"], test_fold=self.test_fold, validation=self.validation == "split"
        )

    def save(self, path: Path) -> None:
        """Write the configuration as YAML."""
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def load_config(path: Path | None, **overrides: Any) -> Config:
    """Read a YAML file (None: the defaults) and set ``overrides`` on top of it.

    Raises:
        DataError: not YAML, not a mapping, or an unknown or impossible setting.
        OSError: the file cannot be read.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DataError(f"{path}: not a YAML file ({' '.join(str(error).split())})") from error
        known = {setting.name for setting in dataclasses.fields(Config)}
        if not isinstance(values, dict):
            raise DataError(f"{path}: expected lines like 'epochs: 20'")
        if unknown := sorted(map(str, set(values) - known)):
            raise DataError(f"{path}: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    try:
        return Config(**{**values, **overrides})
    except DataError as error:
        raise DataError(f"{path}: {error}" if path else str(error)) from None


def _converted(name: str, value: Any, kind: Any) -> Any:
    """``value`` as the field's type; YAML and the command line know no tuples and write 1 for 1.0."""
    options = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if value is None and type(None) in options:
        return None
    target = options[0]
    if target is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if target is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if target is float and isinstance(value, str):  # YAML takes 1e-3 for text
        with contextlib.suppress(ValueError):
            return float(value)
    if target is str and isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    if get_args(target) and isinstance(value, list | tuple) and [type(side) for side in value] == [int, int]:
        return tuple(value)
    raise DataError(f"{name} is {value!r}, expected {getattr(target, '__name__', target)}")


def _check_limits(name: str, value: Any, limits: Any) -> None:
    if value is None:
        return
    if "choices" in limits and value not in limits["choices"]:
        raise DataError(f"unknown {name} {value!r}; known: {', '.join(limits['choices'])}")
    for number in value if isinstance(value, tuple) else (value,):
        if "most" in limits and not number <= limits["most"]:
            raise DataError(f"{name} is {number}, expected at most {limits['most']}")
        if "least" in limits and not number >= limits["least"]:
            raise DataError(f"{name} is {number}, expected at least {limits['least']}")
        if "above" in limits and not number > limits["above"]:
            raise DataError(f"{name} is {number}, expected more than {limits['above']}")
