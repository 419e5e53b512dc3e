"""Everything that decides a training run, in one flat, frozen record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from echoseg.datasets.split import assign_splits
from echoseg.errors import DataError
from echoseg.geometry.contour import ORDERINGS
from echoseg.geometry.landmarks import SCHEMES, check_count
from echoseg.training.settings import check_limits, converted, setting

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

APPROACHES = ("mask", "landmark")
# by approach; the first is the default. models.losses defines them, but the command line must not wait for torch
LOSSES = {
    "mask": ("dice_bce", "bce", "weighted_bce", "dice", "focal"),
    "landmark": ("spatial_ce", "bce", "mse", "channel_ce"),
}
# geometry.spline and ops define them; likewise
OUTLINES = ("cubic", "catmull_rom", "polygon")
HEATMAPS = ("gaussian", "euclidean")
DECODERS = ("soft_argmax", "dark", "argmax")
# where and how fast a run is computed, and how long: what may be edited in the config.yaml of a run
FREE = {
    *("data", "corrections", "device", "precision", "compile", "workers", "tensorboard"),
    *("epochs", "max_minutes", "patience", "checkpoint_minutes"),
}


@dataclass(frozen=True)
class Config:
    """A resolved configuration; ``config.yaml`` of a run holds it.

    Raises:
        DataError: a value of the wrong type or outside its limits.
    """

    approach: str = setting("landmark", "what the network learns", choices=APPROACHES)
    data: str | None = setting(None, "folder with tracings, or a store; default: a phantom, made once and kept")
    corrections: str | None = setting(
        None,
        "what 'echoseg review' wrote: train on it in place of the data's own tracings; measured on those all the same",
    )
    size: tuple[int, int] = setting(
        (112, 112), "height and width of the network's frames, pixels", ge=16, le=4096, metavar=("H", "W")
    )
    fov_mm: float | None = setting(
        None, "side of the middle square that is looked at, mm, where sizes are known; default: all", gt=0, le=1e4
    )
    ordering: str | None = setting(
        None, "how a tracing becomes a contour; default: its own order", choices=tuple(ORDERINGS)
    )
    test_fold: str | None = setting(None, "the fold to test on; in data without splits, a patient; default: the last")
    validation: str = setting(
        "split",
        "none: the validation patients train too, and the last weights are kept, not the best",
        choices=("split", "none"),
    )
    images: int | None = setting(None, "train on so many images only, drawn by the seed; default: all", ge=1, le=2**62)
    seed: int = setting(0, "of weights, shuffling and augmentation", ge=0, le=2**32 - 1)
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    precision: str = setting(
        "auto", "of the network; auto: what this device has instructions for", choices=("auto", "float32", "bfloat16")
    )
    compile: bool = setting(False, "compile the network (torch.compile; CUDA graphs on a GPU)")
    deterministic: bool = setting(False, "the same bits from the same seed on a GPU too; slower")
    workers: int = setting(0, "processes that read frames; 0: the whole store on the device, if it fits", ge=0, le=256)

    epochs: int | None = setting(
        None, "passes over the training images; default: 10, or 12,800 images", ge=1, le=1000000
    )
    max_minutes: float | None = setting(None, "stop after so many minutes of training", gt=0, le=1e6)
    patience: int | None = setting(None, "stop after so many epochs without a better validation Dice", ge=1, le=1000000)
    checkpoint_minutes: float = setting(10.0, "save the state in mid-epoch so often, too", gt=0, le=1e6)
    tensorboard: bool = setting(False, "write the log for TensorBoard, too, into the run folder")
    batch_size: int = setting(16, "images a step, of each process", ge=1, le=4096)
    optimizer: str = setting("adamw", "sgd has momentum 0.9", choices=("adamw", "adam", "sgd"))
    learning_rate: float = setting(3e-3, "the largest of the schedule", gt=0, le=10)
    schedule: str = setting("cosine", "cosine: a warm-up, then down to zero; constant", choices=("cosine", "constant"))
    weight_decay: float = setting(1e-2, "of the optimizer", ge=0, le=10)
    clip: float | None = setting(None, "largest norm of the gradient", gt=0, le=1e6)
    ema: float = setting(0.0, "keep a moving average of the weights, with this decay a step; 0: none", ge=0, le=1)

    loss: str | None = setting(
        None,
        "mask: " + ", ".join(LOSSES["mask"]) + "; landmark: " + ", ".join(LOSSES["landmark"]) + "; default: the first",
    )
    coordinate_weight: float = setting(
        0.0, "landmarks: adds the distance to the heatmap's centroid, pixels, times this to the loss", ge=0, le=1e6
    )
    region: tuple[float, float, float, float] = setting(
        (0.0, 0.0, 1.0, 1.0),
        "part of the frame that counts region-weight times as much, in shares",
        ge=0,
        le=1,
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
    )
    region_weight: float = setting(1.0, "see region", gt=0, le=1e6)

    width: int = setting(16, "channels of the U-Net's first level", ge=1, le=512)
    depth: int = setting(4, "poolings of the U-Net", ge=1, le=8)
    norm: str = setting("batch", "normalisation after each convolution", choices=("batch", "group", "none"))
    dropout: float = setting(0.0, "share of channels dropped at the two deepest levels", ge=0, le=0.95)
    attention: bool = setting(False, "gate the skip connections (Attention U-Net)")
    skips: bool = setting(True, "the U-Net's skip connections")
    bottleneck: bool = setting(True, "the U-Net's convolutions at the deepest level")

    landmarks: int = setting(9, "landmarks a contour", ge=3, le=256)
    scheme: str | None = setting(
        None, "how landmarks are chosen; default: anatomical for chords, arc for point lists", choices=tuple(SCHEMES)
    )
    outline: str = setting("cubic", "how landmarks are joined", choices=OUTLINES)
    heatmap: str = setting("gaussian", "euclidean falls evenly to zero at the radius", choices=HEATMAPS)
    sigma: float = setting(2.5, "of the heatmaps' Gaussian, pixels", ge=0.1, le=1000)
    radius: float = setting(10.0, "heatmaps are zero beyond it, pixels", ge=0.1, le=10000)
    band_kernel: int = setting(3, "side of the square that cuts the border band, pixels", ge=1, le=255)
    band_iterations: int = setting(0, "how often it dilates and erodes; 0: no band", ge=0, le=100)
    decode: str = setting("soft_argmax", "how a heatmap's place is found", choices=DECODERS)

    rotation: float = setting(20.0, "augmentation: largest turn, degrees", ge=0, le=180)
    zoom: float = setting(0.25, "augmentation: largest change of scale, share", ge=0, le=0.9)
    shift: float = setting(0.1, "augmentation: largest shift, share of the frame", ge=0, le=1)
    gamma: float = setting(0.5, "augmentation: largest change of the grey curve's exponent, logarithm", ge=0, le=3)
    gain: float = setting(
        1.0, "augmentation: largest change of brightness, logarithm; what exceeds 255 is cut", ge=0, le=5
    )
    shade: float = setting(1.5, "augmentation: largest brightening from one side to the other, logarithm", ge=0, le=5)
    flip: float = setting(0.0, "augmentation: probability of mirroring left and right", ge=0, le=1)
    attenuation: float = setting(0.0, "augmentation: largest darkening from top to bottom, logarithm", ge=0, le=5)
    shadow: float = setting(0.0, "augmentation: deepest shadow lane, logarithm", ge=0, le=5)
    blur: float = setting(0.0, "augmentation: largest share of a 3x3 mean in each pixel", ge=0, le=1)
    noise: float = setting(0.2, "augmentation: largest speckle, share of a pixel's value", ge=0, le=5)

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config).items():
            object.__setattr__(self, name, converted(name, getattr(self, name), kind))
        for one in dataclasses.fields(self):
            check_limits(one.name, getattr(self, one.name), one.metadata)
        if self.loss is None:
            object.__setattr__(self, "loss", LOSSES[self.approach][0])
        if self.loss not in LOSSES[self.approach]:
            raise DataError(
                f"unknown loss {self.loss!r} of {self.approach}s; known: {', '.join(LOSSES[self.approach])}"
            )
        if self.approach == "landmark" and self.scheme is not None:
            check_count(self.landmarks, self.scheme)
        if self.attention and not self.skips:
            raise DataError("attention gates the skip connections; leave out attention or keep skips")
        left, top, right, bottom = self.region
        if not (left < right and top < bottom):
            raise DataError(f"region {self.region} is empty; give left < right and top < bottom")
        unit = 2**self.depth
        if any(side % unit or side == unit for side in self.size):
            raise DataError(
                f"size {self.size[0]}x{self.size[1]}: both sides must be 2, 3, … times {unit} (2 to the depth)"
            )
        if self.data is not None:
            if not self.data:
                raise DataError("data is empty; name a folder, or leave it out to train on a phantom")
            object.__setattr__(self, "data", str(Path(self.data).resolve()))

    @property
    def store_options(self) -> dict[str, Any]:
        """What ``data.store.prepare`` must be told, so that a data set is seen as this configuration sees it."""
        return {"size": self.size, "ordering": self.ordering, "fov_mm": self.fov_mm}

    def splits(self, samples: pd.DataFrame) -> NDArray[np.str_]:
        """(N,) "train", "val", "test", or "unused" beyond ``images``, for each row of a store's table of samples.

        Raises:
            DataError: see ``data.split.assign_splits``.
        """
        splits = assign_splits(
            samples["split"], samples["patient"], test_fold=self.test_fold, validation=self.validation == "split"
        )
        if self.images is None:
            return splits
        import numpy as np  # the command line reads its flags from here, and starts faster without

        training = np.random.default_rng(self.seed).permutation(np.flatnonzero(splits == "train"))
        splits = splits.astype("<U6")
        splits[training[self.images :]] = "unused"
        return splits

    def values(self) -> dict[str, Any]:
        """All settings, as YAML and JSON know them."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    def save(self, path: Path) -> None:
        """Write the configuration as YAML."""
        path.write_text(yaml.safe_dump(self.values(), sort_keys=False), encoding="utf-8")


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
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
            raise DataError(f"{place}: not a YAML file ({error.problem}); mend it") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a YAML file ({' '.join(str(error).split())[:300]})") from error
        known = {one.name for one in dataclasses.fields(Config)}
        if not isinstance(values, dict):
            raise DataError(f"{path}: expected lines like 'epochs: 20'")
        if unknown := sorted(map(str, set(values) - known)):
            raise DataError(f"{path}: unknown setting {unknown[0]!r}; known: {', '.join(sorted(known))}")
    try:
        return Config(**{**values, **overrides})
    except ValueError as error:
        raise DataError(f"{path}: {error}" if path else str(error)) from None
