"""Print the versions of echoseg and of the libraries it uses, how its native
code was built, and which SIMD instructions, threads and GPUs it can use here.
Reports on standard error if several packages of OpenCV are installed.

With RUN, print the layers of a trained network instead, with their output
shapes, parameters and multiply-adds for one frame.
"""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HELP = "print versions, SIMD level, threads and GPUs, or the layers of a network"
EXAMPLE = "  echoseg info\n  echoseg info runs/landmark-1 --figure network.png"
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_folder",
        type=Path,
        nargs="?",
        metavar="RUN",
        help="run folder that 'echoseg train' wrote (default: print versions)",
    )
    parser.add_argument("--figure", type=Path, metavar="FILE", help="PNG file to draw the network of RUN to")
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    if arguments.run_folder:
        _print_network(arguments.run_folder, arguments.figure)
    elif arguments.figure:
        arguments.usage_error("--figure draws the network of a run; name the run folder")
    else:
        _print_versions()


def _print_versions() -> None:
    import platform

    import cv2
    import numpy
    import torch

    from echoseg.ops import build_info

    versions = {"numpy": numpy.__version__, "opencv": cv2.__version__, "torch": torch.__version__}
    lines = {**build_info(), "python": platform.python_version(), **versions, "torch cuda": torch.cuda.is_available()}
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name.ljust(width)}  {' '.join(map(str, value)) if isinstance(value, list) else value}")
    installed = [name for name in _OPENCV if _is_installed(name)]
    if len(installed) > 1:
        print(
            f"echoseg: {' and '.join(installed)} are installed, and each overwrites the files of the other; run"
            f" 'pip uninstall {' '.join(installed)}', then 'pip install opencv-python-headless'",
            file=sys.stderr,
        )


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _print_network(run_folder: Path, figure: Path | None) -> None:
    from echoseg.report.architecture import architecture_figure
    from echoseg.report.tables import layers_table
    from echoseg.training.checkpoint import load_run
    from echoseg.training.summary import summarise_network

    config, model, _ = load_run(run_folder)
    if config.folds is not None:
        print(f"an ensemble of {config.folds} networks, of which this is the first")
    layers = summarise_network(model, config.size)
    print(layers_table(layers))
    if figure:
        architecture_figure(layers, config, figure)
        print(f"written to {figure}")
