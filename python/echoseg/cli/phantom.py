"""Write synthetic ultrasound videos of the heart (apical four-chamber view),
with the true volumes and with tracings such as an expert would draw.

OUT has the layout of EchoNet-Dynamic: FileList.csv (volumes in ml, ejection
fraction in percent), VolumeTracings.csv (the contours at end-diastole and
end-systole) and Videos/ (60 frames of 112 x 112 pixels each, 50 per second).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import whole_number

HELP = "write synthetic ultrasound videos with tracings"
EXAMPLE = "  echoseg phantom data --videos 100 --seed 1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write; must not exist")
    parser.add_argument(
        "--videos",
        type=whole_number(1),
        default=60,
        metavar="N",
        help="number of videos, or of stacks, one for each synthetic patient (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="random seed; the same seed gives the same data (default: %(default)s)",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--store",
        action="store_true",
        help="write only the traced frames, as a store that 'echoseg train' reads; much faster than writing videos",
    )
    kinds.add_argument(
        "--stacks",
        action="store_true",
        help="write MRI stacks of the left atrium instead, one for each patient, most of whose slices are blank, in the"
        " layout of the Medical Segmentation Decathlon",
    )

    parser.add_argument(
        "--frames",
        type=whole_number(1),
        metavar="N",
        help="with --store: number of frames of each training patient, at random times and with the exact contour, in"
        " place of end-diastole and end-systole as an expert traces them; patients for validation and testing keep"
        " these two",
    )
    parser.add_argument(
        "--exact",
        action="store_true",
        help="of videos: trace every frame, with the exact contour, in place of end-diastole and end-systole as an"
        " expert traces them",
    )


def run(arguments: argparse.Namespace) -> None:
    from echoseg.phantom import write_phantom, write_phantom_store
    from echoseg.phantom.patient import FRAMES
    from echoseg.phantom.stacks import write_phantom_stacks

    frames = arguments.frames
    if frames is not None and (not arguments.store or frames > FRAMES):
        arguments.usage_error(f"--frames belongs to --store and is at most {FRAMES}")

    if arguments.exact and (arguments.store or arguments.stacks):
        arguments.usage_error("--exact is for videos; a store has exact contours with --frames")

    if arguments.stacks:
        write_phantom_stacks(arguments.out, patients=arguments.videos, seed=arguments.seed)
    elif arguments.store:
        write_phantom_store(arguments.out, patients=arguments.videos, seed=arguments.seed, frames=frames)
    else:
        write_phantom(arguments.out, videos=arguments.videos, seed=arguments.seed, exact=arguments.exact)
    print(f"written to {arguments.out}: {arguments.videos} synthetic patients")
