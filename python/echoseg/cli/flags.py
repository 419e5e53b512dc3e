"""Flags that several commands share, and the numbers that flags take."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from echoseg.errors import DataError
from echoseg.training.config import Config
from echoseg.training.task_settings import APPROACHES

DATA_SET = (
    "folder with a data set (EchoNet-Dynamic, EchoNet-Pediatric, CAMUS, nnU-Net, Medical Segmentation Decathlon, or"
    " pairs of image and mask)"
)


def add_run(parser: argparse.ArgumentParser) -> None:
    """The trained network that a command works on."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="run folder that 'echoseg train' wrote")


def add_run_and_inputs(parser: argparse.ArgumentParser, help: str) -> None:
    """A trained network, which may be left out, and the files to use it on; `split_run` separates them.

    Args:
        parser: Of the command.
        help: What may be given as input.
    """
    parser.add_argument(
        "run_folder",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="run folder that 'echoseg train' wrote; the first argument is one if it is a folder with config.yaml."
        " Without it, a network that ships with echoseg is used, for the left ventricle in apical echocardiograms",
    )
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help=help)
    parser.add_argument(
        "--approach",
        choices=APPROACHES,
        help="without RUN: which of the two networks that ship with echoseg (default: landmark)",
    )
    parser.set_defaults(usage_error=parser.error)


def split_run(arguments: argparse.Namespace) -> tuple[Path | None, list[Path]]:
    """The run folder, or None, and the inputs of a command with `add_run_and_inputs`.

    Raises:
        DataError: The first argument is a damaged run folder.
    """
    given: list[Path] = [path for path in (arguments.run_folder, *arguments.inputs) if path is not None]
    first, others = given[0], given[1:]
    if not (first / "config.yaml").is_file():
        if (first / "model.safetensors").exists():
            raise DataError(f"{first}: no run folder (config.yaml is missing); train again")
        return None, given
    if arguments.approach:
        arguments.usage_error(f"--approach is for the networks that ship with echoseg; {first} is a run")
    if not others:
        arguments.usage_error(f"no input given: name files or folders after the run folder {first}")
    return first, others


def add_data(parser: argparse.ArgumentParser) -> None:
    """The data set that a run is measured on."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="data set, or store, to measure on (default: the one that the run was trained on)",
    )


def add_settings(parser: argparse._ActionsContainer, *names: str, default: Any = None) -> None:
    """Flags for settings of `Config`, with their help.

    Args:
        parser: The parser, or a group of it.
        names: The settings.
        default: The value of flags that are not given.
    """
    fields, kinds = {field.name: field for field in dataclasses.fields(Config)}, get_type_hints(Config)
    for name in names:
        options = fields[name].metadata
        shared: dict[str, Any] = {"default": default, "help": _help_of(options["help"], fields[name].default)}
        flag = "--" + name.replace("_", "-")
        kind = _required(kinds[name])
        is_open = kinds[name] != kind
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **shared)
        elif parts := get_args(kind):
            parser.add_argument(flag, type=parts[0], nargs=len(parts), metavar=options["metavar"], **shared)
        elif "choices" in options:
            parser.add_argument(flag, choices=options["choices"], **shared)
        else:
            convert = _number_or_auto(kind) if is_open and kind is not str else kind
            parser.add_argument(flag, type=convert, metavar=options["metavar"], **shared)


def _required(kind: Any) -> Any:
    """The type of a setting without its None."""
    return next(part for part in get_args(kind) if part is not type(None)) if isinstance(kind, UnionType) else kind


def _number_or_auto(kind: type[int] | type[float]) -> Callable[[str], int | float | str]:
    """An argparse type: a number, or auto for one that the training chooses."""

    def convert(text: str) -> int | float | str:
        return text if text == "auto" else kind(text)

    convert.__name__ = kind.__name__  # for argparse's message
    return convert


def _help_of(text: str, default: object) -> str:
    """What a setting does, in lower case as argparse writes its own help, and the default, if it is a value."""
    text = text[0].lower() + text[1:]
    if default is None:
        return text
    if isinstance(default, bool):
        default = "yes" if default else "no"
    return f"{text} (default: {' '.join(map(str, default)) if isinstance(default, tuple) else default})"


def add_split(parser: argparse.ArgumentParser) -> None:
    """The part of a data set that a run is measured on."""
    parser.add_argument(
        "--split",
        choices=("train", "val", "test", "all"),
        default="test",
        help="part of the data set to measure on (default: %(default)s)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where the network runs."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="where to run the network: cpu, cuda, cuda:N, mps (Apple's GPU), or auto, the first CUDA device if there"
        " is one, otherwise the CPU (default: %(default)s)",
    )


def add_smooth(parser: argparse.ArgumentParser) -> None:
    """Whether contours are smoothed over time."""
    parser.add_argument(
        "--smooth",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="smooth the contours of a cine over time, so that a single frame that stands out has little weight"
        " (default: yes)",
    )
    parser.set_defaults(smooth=True)


def add_postprocess(parser: argparse.ArgumentParser) -> None:
    """What is done to the network's output."""
    parser.add_argument(
        "--postprocess",
        nargs="+",
        default=[],
        metavar="STEP",
        help="post-processing steps, applied in the given order. threshold=P: a pixel belongs to the structure from"
        " probability P on (0.4 if not given; mask approach only). reject_blank=P: no contour in frames whose"
        " confidence is below P (0.5 if not given). reject_bright=P: no contour in frames where the mean of the"
        " probabilities, scaled from 0 to 1, is above P (0.3 if not given; mask approach only). closing=N: close gaps"
        " with a square of N pixels (5 if not given). (default: no step)",
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """What is printed during training."""
    parser.add_argument(
        "--log",
        choices=("auto", "text", "json", "none"),
        default="auto",
        help="what to print to stderr during training. text: one line for each epoch. json: one JSON object for each"
        " epoch. none: nothing. auto: a progress bar in a terminal, text elsewhere (default: %(default)s)",
    )


def positive_number(text: str) -> float:
    """An argparse type: a number above 0."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}") from None
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def whole_number(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `minimum`, and at most `maximum`."""

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
        if number < minimum:
            raise argparse.ArgumentTypeError(f"expected at least {minimum}, got {number}")
        if maximum is not None and number > maximum:
            raise argparse.ArgumentTypeError(f"expected at most {maximum}, got {number}")
        return number

    return convert
