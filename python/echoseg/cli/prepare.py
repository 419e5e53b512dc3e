"""Decode the traced frames of a data set once, and write them as a store.

A store is a folder with the frames (frames.npy), the contours (points.npy and
offsets.npy), a table with one row per frame (samples.csv), and manifest.json,
which lists the tracings that were left out. 'echoseg train' makes a store by
itself and keeps it in the cache folder; this command writes one to a place of
your choice, which can then be given as --data.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from echoseg.cli.flags import DATA_SET, add_settings, positive_number, whole_number
from echoseg.datasets.recording import describe_faults
from echoseg.geometry.contour import ORDERINGS
from echoseg.training.logs import configure_logging
from echoseg.utils.words import counted

if TYPE_CHECKING:
    from echoseg.datasets.store import Store

HELP = "decode the traced frames of a data set once"
EXAMPLE = "  echoseg prepare data --out stores/128 --size 128 128"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help=DATA_SET)
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="store to write; must not exist (default: in the cache folder)"
    )
    parser.add_argument(
        "--size",
        type=whole_number(1),
        nargs=2,
        default=(112, 112),
        metavar=("H", "W"),
        help="height and width that frames are resized to, pixels (default: 112 112)",
    )
    parser.add_argument(
        "--ordering",
        choices=tuple(ORDERINGS),
        help="order in which the traced points are joined to a contour. chords: down along the first ends of the"
        " chords and back along the second ends. given: as in the file. angle: by angle about the centre. hull: only"
        " the convex hull. nearest: always to the nearest point left. sorted: by x, then y, which is no contour and"
        " serves for comparison. (default: chords for tracings made of chords, given for lists of points)",
    )
    parser.add_argument(
        "--fov-mm",
        type=positive_number,
        metavar="MM",
        help="field of view: the side, mm, of the central square that is kept of images whose pixel size is known"
        " (default: the whole image)",
    )
    add_settings(parser, "structure", "axis3", "patients")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="also write each frame, its mask and the frame with its contour as PNG files, named by video and frame, to"
        " this folder; must not exist",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="fail (exit code 1) if a tracing has a fault, instead of leaving that tracing out",
    )


def run(arguments: argparse.Namespace) -> None:
    configure_logging("text")
    from echoseg.datasets.store import prepare

    if arguments.images and arguments.images.exists():
        raise FileExistsError(f"{arguments.images}: exists already; choose another --images")
    store = prepare(
        arguments.data,
        arguments.out,
        size=tuple(arguments.size),
        ordering=arguments.ordering,
        fov_mm=arguments.fov_mm,
        structure=arguments.structure,
        axis3=arguments.axis3,
        patients=arguments.patients,
        strict=arguments.strict,
    )
    print(f"{store.path}: {describe_store(store)}")
    print_blanks(store)
    if store.faults:
        print(describe_faults(store.faults))
    if arguments.images:
        from echoseg.report.image_files import write_sample_images
        from echoseg.utils.files import new_folder

        with new_folder(arguments.images) as folder:
            write_sample_images(store, folder)
        print(f"{arguments.images}: images, masks and overlays")


def describe_store(store: Store) -> str:
    """What a store holds: its frames, its patients, and the structure that is traced."""
    patients = counted(store.samples["patient"].nunique(), "patient")
    return f"{counted(len(store), 'frame')} of {patients}, {store.structure}"


def print_blanks(store: Store) -> None:
    """Print how many slices of a store are blank, and how many frames without a contour were left out, if any."""
    if store.blank.any():
        print(f"blank slices, kept with an empty mask: {store.blank.sum()}")
    if store.manifest.get("empty"):
        print(f"without a contour, left out, which is no fault: {counted(store.manifest['empty'], 'frame')}")
