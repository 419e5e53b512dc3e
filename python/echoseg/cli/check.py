"""Look at a data set without training: what can be used, what cannot and why, what the ordering of points does, and
what landmarks could give at best."""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.prepare import print_faults
from echoseg.errors import DataError

HELP = "look at a data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with tracings")
    parser.add_argument("--strict", action="store_true", help="fail if anything would be left out")
    parser.add_argument(
        "--landmarks", action="store_true", help="the scores of perfect landmarks, by scheme, number and outline"
    )
    parser.add_argument("--out", type=Path, help="folder for the tables and figures; must not exist")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.assess.ceiling import landmark_ceiling
    from echoseg.assess.orderings import compare_orderings, masks_by_ordering
    from echoseg.data.files import new_folder
    from echoseg.data.formats import read_dataset
    from echoseg.data.store import prepare
    from echoseg.report.results import write_ceiling, write_orderings
    from echoseg.report.tables import ceiling_table, text_table

    dataset = read_dataset(arguments.data)
    chords = dataset.kind == "chords"
    if arguments.out and arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")
    if arguments.out and not chords and not arguments.landmarks:
        raise DataError(
            f"{arguments.data}: holds point lists, whose order is given; leave --out away or add --landmarks"
        )
    store = prepare(arguments.data, strict=arguments.strict)
    print(f"{arguments.data}: {len(store)} frames of {store.samples['patient'].nunique()} patients")
    print_faults(store.manifest["faults"])
    if chords:
        masks = masks_by_ordering(dataset, store)
        orderings = compare_orderings(masks)
        rows = [[name, *(f"{value:.3f}" for value in values)] for name, *values in orderings.itertuples(index=False)]
        print("\nforeground Dice of the mask, by the order in which the points are joined, against 'chords'")
        print(text_table(["ordering", "mean", "min", "below 0.95"], rows))
    if arguments.landmarks:
        ceiling = landmark_ceiling(store)
        print("\nforeground Dice of perfect landmarks, by how they are joined, and the errors of the best outline")
        print(ceiling_table(ceiling))
    if arguments.out:
        with new_folder(arguments.out) as folder:
            if chords:
                write_orderings(orderings, masks, store.frames, folder)
            if arguments.landmarks:
                write_ceiling(ceiling, folder)
