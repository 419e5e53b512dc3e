"""Print the versions of echoseg and of the libraries it uses, how its native
code was built, and which SIMD instructions, threads and GPUs it can use here."""

from __future__ import annotations

import argparse

HELP = "print versions, SIMD level, threads and GPUs"
EXAMPLE = "  echoseg info"


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
