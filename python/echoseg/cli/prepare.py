"""Decode the traced frames of a data set once, into a store that training maps into memory."""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.numbers import positive_number, whole_number
from echoseg.datasets.recording import Fault
from echoseg.geometry.contour import ORDERINGS

HELP = "decode traced frames into a store"
_SHOWN = 20  # faults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with tracings")
    parser.add_argument("--out", type=Path, help="store to write; must not exist (default: kept in the cache folder)")
    parser.add_argument(
        "--size", type=whole_number(1), nargs=2, default=(112, 112), metavar=("H", "W"), help="(default: 112 112)"
    )
    parser.add_argument("--ordering", choices=tuple(ORDERINGS), help="default: the tracing's own order")
    parser.add_argument(
        "--fov-mm", type=positive_number, metavar="MM", help="keep the middle square of so many mm (default: all)"
    )
    parser.add_argument("--strict", action="store_true", help="refuse data with any fault instead of leaving it out")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.datasets.store import prepare

    store = prepare(
        arguments.data,
        arguments.out,
        size=tuple(arguments.size),
        ordering=arguments.ordering,
        fov_mm=arguments.fov_mm,
        strict=arguments.strict,
    )
    print(f"{store.path}: {len(store)} frames of {store.samples['patient'].nunique()} patients")
    if store.manifest.get("empty"):
        print(f"nothing drawn on, which is no fault: {store.manifest['empty']} frames")
    print_faults(store.manifest["faults"])


def print_faults(faults: list[dict]) -> None:
    """Say how many faults there are, what is left out for them, and the first with their places and reasons."""
    if faults:
        print(f"left out: {len(faults)}")
    for fault in faults[:_SHOWN]:
        print(f"  {Fault(**fault)}")
    if len(faults) > _SHOWN:
        print(f"  and {len(faults) - _SHOWN} more; 'echoseg check DATA --out FOLDER' writes them all")
