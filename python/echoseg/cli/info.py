"""Print versions, what the native core was built with, and what this machine offers it."""

from __future__ import annotations

import argparse

HELP = "print versions, SIMD level, threads and devices"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


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
