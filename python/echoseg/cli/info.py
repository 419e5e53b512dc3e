"""Print the versions of echoseg and of the libraries it uses, how its native
code was built, and which SIMD instructions, threads and GPUs it can use here.
Reports on standard error if several packages of OpenCV are installed."""

from __future__ import annotations

import argparse
import sys
from importlib.metadata import PackageNotFoundError, distribution

HELP = "print versions, SIMD level, threads and GPUs"
EXAMPLE = "  echoseg info"
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No flag but --help."""


def run(arguments: argparse.Namespace) -> None:
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
