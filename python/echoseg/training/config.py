"""All settings of a training run, in one flat, frozen dataclass."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import yaml

from echoseg.datasets.structure import structure_name
from echoseg.errors import DataError
from echoseg.geometry.landmarks import SCHEMES, check_count
from echoseg.training.settings import check_limits, converted, setting
from echoseg.training.splits import check_splits, choose_splits
from echoseg.training.task_settings import TaskSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

# By approach; the first is the default. models.losses defines them; importing it here would import torch, and the
# command line would start more slowly.
LOSSES = {
    "mask": ("dice_bce", "bce", "weighted_bce", "dice", "focal"),
    "landmark": ("spatial_ce", "bce", "mse", "channel_ce"),
}
SHIPPED = "shipped"
"""The value of `init` that stands for the network that ships with echoseg."""
PHANTOM = "phantom"
"""The value of `rehearse` that stands for the synthetic data set."""
# geometry.spline and ops define these.
OUTLINES = ("cubic", "catmull_rom", "polygon")
HEATMAPS = ("gaussian", "euclidean")
DECODERS = ("soft_argmax", "dark", "argmax")
# Settings that may be edited in the config.yaml of a run: they change where, how fast and how long it trains, and
# neither the network nor what it learns.
EDITABLE = {
    *("data", "corrections", "init", "rehearse"),
    *("device", "precision", "compile", "cuda_graph", "workers", "tensorboard"),
    *("epochs", "max_minutes", "patience", "checkpoint_minutes"),
}


@dataclass(frozen=True)
class Config(TaskSettings):
    """All settings of a training run; ``config.yaml`` in a run folder holds them.

    Raises:
        DataError: A value has the wrong type or is outside its limits.
    """

    seed: int = setting(
        0,
        "Random seed of the initial weights, the order of the images and the augmentation",
        ge=0,
        le=2**32 - 1,
        metavar="N",
    )
    device: str = setting(
        "auto",
        "Device to train on: cpu, cuda, cuda:N, mps (Apple's GPU), or auto for a CUDA device where there is one",
        metavar="DEVICE",
    )
    precision: str = setting(
        "auto",
        "Number format of the network's computations. auto: bfloat16 where the device has instructions for it, else "
        "float32",
        choices=("auto", "float32", "bfloat16"),
    )
    compile: bool = setting(False, "Compile the network with torch.compile, on a GPU with CUDA graphs")
    cuda_graph: bool = setting(
        True,
        "On a CUDA device, launch the whole training step by one call, as a CUDA graph, where that is possible. The "
        "weights are the same",
    )
    deterministic: bool = setting(
        False, "Use deterministic algorithms only, so that the same seed gives the same weights on a GPU too. Slower"
    )
    workers: int = setting(
        0,
        "Number of processes that load batches beside the main process. 0: none; but 2 for a GPU that is too small for "
        "all frames, or whose frames a function of your own augments",
        ge=0,
        le=256,
        metavar="N",
    )

    epochs: int | None = setting(
        None,
        "Number of passes over the training images. Default: enough for 12,800 images, at least 10; blank slices do "
        "not count",
        ge=1,
        le=1000000,
        metavar="N",
    )
    max_minutes: float | None = setting(
        None, "Stop after this many minutes of training. Default: no limit", gt=0, le=1e6, metavar="MINUTES"
    )
    patience: int | None = setting(
        None,
        "Stop after this many epochs without a higher validation Dice. Default: never",
        ge=1,
        le=1000000,
        metavar="EPOCHS",
    )
    checkpoint_minutes: float = setting(
        10.0,
        "Save the training state after this many minutes within an epoch. It is also saved after each epoch",
        gt=0,
        le=1e6,
        metavar="MINUTES",
    )
    tensorboard: bool = setting(False, "Also write the log for TensorBoard, into the run folder")
    batch_size: int | None = setting(
        None,
        "Number of images in a batch; with torchrun, in each process. Default, or auto: 16; on a CUDA device up to 64, "
        "as its memory and the length of the training allow",
        ge=1,
        le=4096,
        metavar="N",
    )
    optimizer: str = setting("adamw", "Optimizer. sgd: with Nesterov momentum 0.9", choices=("adamw", "adam", "sgd"))
    learning_rate: float | None = setting(
        None,
        "Highest learning rate of the schedule. Where a CUDA device's batch size is left open, it is the one for 16 "
        "images, and is multiplied by the square root of batch-size / 16. Default: 0.003, or 0.001 where init gives "
        "weights that know such images",
        gt=0,
        le=10,
        metavar="RATE",
    )
    schedule: str = setting(
        "cosine",
        "Learning rate over the steps. cosine: up over the first tenth, then down to zero. constant: no change",
        choices=("cosine", "constant"),
    )
    weight_decay: float = setting(1e-2, "Weight decay of the optimizer", ge=0, le=10, metavar="DECAY")
    clip: float | None = setting(
        None,
        "Largest norm of the gradient; a larger gradient is scaled down to it. Default: no limit",
        gt=0,
        le=1e6,
        metavar="NORM",
    )
    ema: float = setting(
        0.0,
        "Decay per step of a moving average of the weights, which is validated and kept in their place. 0: no average",
        ge=0,
        le=1,
        metavar="DECAY",
    )

    loss: str | None = setting(
        None,
        f"Loss function. For masks: {', '.join(LOSSES['mask'])}. For landmarks: {', '.join(LOSSES['landmark'])}. "
        "Default: dice_bce or spatial_ce",
        metavar="NAME",
    )
    coordinate_weight: float = setting(
        0.0,
        "Weight of an additional loss of landmarks: the distance in pixels from a landmark to the centroid of its "
        "heatmap",
        ge=0,
        le=1e6,
        metavar="WEIGHT",
    )
    region: tuple[float, float, float, float] = setting(
        (0.0, 0.0, 1.0, 1.0),
        "Part of the frame in which the loss counts region-weight times as much, as fractions of width and height",
        ge=0,
        le=1,
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
    )
    region_weight: float = setting(
        1.0, "Weight of the loss inside the region relative to the weight outside", gt=0, le=1e6, metavar="WEIGHT"
    )

    network: str = setting(
        "unet", "Network. resunet: a U-Net of residual blocks (ResU-Net)", choices=("unet", "resunet")
    )
    width: int = setting(
        16, "Number of channels of the U-Net's first level; each level down doubles it", ge=1, le=512, metavar="N"
    )
    depth: int = setting(
        4,
        "Number of times that the U-Net halves the frame; both sides of size are multiples of 2 to this power",
        ge=1,
        le=8,
        metavar="N",
    )
    norm: str = setting("batch", "Normalization layer after each convolution", choices=("batch", "group", "none"))
    dropout: float = setting(
        0.0,
        "Fraction of the channels dropped at the two deepest levels of the U-Net",
        ge=0,
        le=0.95,
        metavar="FRACTION",
    )
    attention: bool = setting(False, "Add attention gates to the skip connections (Attention U-Net)")
    skips: bool = setting(True, "Use the skip connections of the U-Net")
    bottleneck: bool = setting(True, "Use the convolutions at the deepest level of the U-Net")

    init: str | None = setting(
        None,
        "Weights to start from. shipped: the network that ships with echoseg, which has width 16; none: random "
        "weights; or a run folder. A last layer with another number of landmarks starts from random weights. Default: "
        "shipped if there are at most 20 patients to learn from, in apical views of the left ventricle; else none",
        metavar="RUN",
    )
    rehearse: str | None = setting(
        None,
        "Data that the weights of init have learned from, a folder or a store, so that the network does not forget "
        "them: in each epoch, as many of their training images are mixed in as there are new ones. phantom: the "
        "synthetic data set. Default: none",
        metavar="FOLDER",
    )

    landmarks: int = setting(9, "Number of landmarks of a contour", ge=3, le=256, metavar="N")
    scheme: str | None = setting(
        None,
        "How landmarks are chosen on a contour. Default: anatomical for chords, arc for lists of points",
        choices=tuple(SCHEMES),
    )
    outline: str = setting("cubic", "Curve that joins the landmarks to a contour", choices=OUTLINES)
    heatmap: str = setting(
        "gaussian",
        "Shape of a heatmap. gaussian: a Gaussian of standard deviation sigma. euclidean: a cone that reaches zero at "
        "the radius",
        choices=HEATMAPS,
    )
    sigma: float = setting(
        2.5, "Standard deviation in pixels of the Gaussian of a heatmap", ge=0.1, le=1000, metavar="PIXELS"
    )
    radius: float = setting(10.0, "Radius in pixels beyond which a heatmap is zero", ge=0.1, le=10000, metavar="PIXELS")
    band_kernel: int = setting(
        3,
        "Side in pixels of the square that dilates and erodes the mask to the border band; heatmaps are zero outside "
        "the band",
        ge=1,
        le=255,
        metavar="PIXELS",
    )
    band_iterations: int = setting(
        0, "Number of dilations and erosions that make the border band. 0: no band", ge=0, le=100, metavar="N"
    )
    decode: str = setting(
        "soft_argmax", "How the position of a landmark is computed from its heatmap", choices=DECODERS
    )

    rotation: float | None = setting(
        None,
        "Augmentation: largest rotation in degrees. Default: chosen from the data",
        ge=0,
        le=180,
        metavar="DEGREES",
    )
    zoom: float = setting(
        0.25, "Augmentation: largest change of scale, as a fraction", ge=0, le=0.9, metavar="FRACTION"
    )
    shift: float | None = setting(
        None,
        "Augmentation: largest shift, as a fraction of the frame's sides. Default: chosen from the data",
        ge=0,
        le=1,
        metavar="FRACTION",
    )
    gamma: float | None = setting(
        None,
        "Augmentation: largest change of gamma, as a natural logarithm. Default: chosen from the data",
        ge=0,
        le=3,
        metavar="LOG",
    )
    gain: float | None = setting(
        None,
        "Augmentation: largest change of brightness, as a natural logarithm; values above 255 become 255. Default: "
        "chosen from the data",
        ge=0,
        le=5,
        metavar="LOG",
    )
    shade: float | None = setting(
        None,
        "Augmentation: largest difference in brightness between two sides of a frame, as a natural logarithm. Default: "
        "chosen from the data",
        ge=0,
        le=5,
        metavar="LOG",
    )
    flip: float | None = setting(
        None,
        "Augmentation: probability of mirroring left and right. Default: chosen from the data",
        ge=0,
        le=1,
        metavar="PROBABILITY",
    )
    attenuation: float = setting(
        0.0,
        "Augmentation: largest loss of brightness from top to bottom, as a natural logarithm",
        ge=0,
        le=5,
        metavar="LOG",
    )
    shadow: float = setting(
        0.0,
        "Augmentation: largest loss of brightness in the middle of an acoustic shadow, as a natural logarithm",
        ge=0,
        le=5,
        metavar="LOG",
    )
    blur: float = setting(
        0.0, "Augmentation: largest share of the mean of 3x3 pixels in each pixel", ge=0, le=1, metavar="FRACTION"
    )
    noise: float | None = setting(
        None,
        "Augmentation: largest standard deviation of speckle noise, as a fraction of a pixel's value. Default: chosen "
        "from the data",
        ge=0,
        le=5,
        metavar="FRACTION",
    )

    fixed_copies: float = setting(
        0.0,
        "Share of the training images that are trained on as three copies too, rotated by 20 degrees, enlarged by a "
        "fifth and mirrored, the same in each epoch. The augmentation above applies to images and copies alike",
        ge=0,
        le=1,
        metavar="SHARE",
    )

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config).items():
            object.__setattr__(self, name, converted(name, getattr(self, name), kind))
        for field in dataclasses.fields(self):
            check_limits(field.name, getattr(self, field.name), field.metadata)
        if self.structure is not None and not structure_name(self.structure):
            raise DataError("structure is empty; name a label, or leave it out")
        if self.loss is None:
            object.__setattr__(self, "loss", LOSSES[self.approach][0])
        if self.loss not in LOSSES[self.approach]:
            raise DataError(
                f"unknown loss {self.loss!r} of {self.approach}s; known: {', '.join(LOSSES[self.approach])}"
            )
        if self.approach == "landmark" and self.scheme is not None:
            check_count(self.landmarks, self.scheme)
        check_splits(self)
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
        for name, words in (("data", ()), ("corrections", ()), ("init", ("none", SHIPPED)), ("rehearse", (PHANTOM,))):
            folder = getattr(self, name)
            if folder == "":
                raise DataError(f"{name} is empty; name a folder, or leave it out")
            if folder is not None and folder not in words:
                object.__setattr__(self, name, str(Path(folder).resolve()))

    @property
    def learns_blanks(self) -> bool:
        """Whether blank slices are trained and validated on."""
        return self.blanks and self.approach == "mask"

    @property
    def store_options(self) -> dict[str, Any]:
        """Arguments of ``datasets.store.prepare`` for a store that fits this configuration."""
        names = ("size", "ordering", "fov_mm", "structure", "axis3", "patients")
        return {name: getattr(self, name) for name in names}

    def splits(self, samples: pd.DataFrame) -> NDArray[np.str_]:
        """Assign each sample of a store to a split.

        Args:
            samples: A store's table of samples, N rows.

        Returns:
            (N,) str: "train", "val", "test", or "unused" for training images beyond ``images`` and for images beyond
            ``split_shares`` or ``split_counts``.

        Raises:
            DataError: The Split column cannot be used (see ``datasets.split.assign_splits``), or there are too few
                images.
        """
        return choose_splits(self, samples)

    def values(self) -> dict[str, Any]:
        """Return all settings in types that YAML and JSON have."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in dataclasses.asdict(self).items()}

    def save(self, path: Path) -> None:
        """Write the configuration as YAML."""
        path.write_text(yaml.safe_dump(self.values(), sort_keys=False), encoding="utf-8")
