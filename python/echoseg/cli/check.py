"""Look at a data set without training: what is left out and why, what looks wrong although it is used, what the
ordering of points does, and what landmarks could give at best."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "look at a data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with tracings, or a store")
    parser.add_argument("--strict", action="store_true", help="fail if anything would be left out")
    parser.add_argument(
        "--landmarks", action="store_true", help="the scores of perfect landmarks, by scheme, number and outline"
    )
    parser.add_argument(
        "--store", type=Path, metavar="STORE", help="name the files that changed since this store was made, and stop"
    )
    parser.add_argument("--out", type=Path, help="folder for check.csv, check.html and more; must not exist")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.datasets.formats import read_dataset
    from echoseg.datasets.store import open_store, prepare
    from echoseg.evaluation.ceiling import landmark_ceiling
    from echoseg.evaluation.orderings import compare_orderings, masks_by_ordering
    from echoseg.quality.inspection import check_store
    from echoseg.report.quality_page import check_text, write_check
    from echoseg.report.tables import ceiling_table, text_table
    from echoseg.utils.files import new_folder

    if arguments.store:
        compare(arguments.data, arguments.store)
        return
    if arguments.out and arguments.out.exists():
        raise FileExistsError(f"{arguments.out}: exists already; choose another --out")
    if (arguments.data / "manifest.json").is_file():
        dataset, held = None, open_store(arguments.data)
        store = prepare(arguments.data, size=held.size, fov_mm=held.manifest["fov_mm"], strict=arguments.strict)
    else:
        dataset = read_dataset(arguments.data)
        store = prepare(arguments.data, strict=arguments.strict)
    print(f"{arguments.data}: {len(store)} frames of {store.samples['patient'].nunique()} patients")
    findings = check_store(store, dataset.recordings if dataset else ())
    if empty := store.manifest.get("empty"):
        print(f"nothing drawn on, which is no fault: {empty} frames")
    print(check_text(findings))
    masks = masks_by_ordering(dataset, store) if dataset and dataset.kind == "chords" else {}
    if masks:
        orderings = compare_orderings(masks)
        rows = [[name, *(f"{value:.3f}" for value in values)] for name, *values in orderings.itertuples(index=False)]
        print("\nforeground Dice of the mask, by the order in which the points are joined, against 'chords'")
        print(text_table(["ordering", "mean", "min", "below 0.95"], rows))
    if arguments.landmarks:
        ceiling = landmark_ceiling(store)
        print("\nforeground Dice of perfect landmarks, by how they are joined, and the errors of the best outline")
        print(ceiling_table(ceiling))
    if arguments.out:
        from echoseg.report.results import write_ceiling, write_orderings  # takes seconds to import, torch and all

        with new_folder(arguments.out) as folder:
            write_check(findings, store, arguments.data.resolve().name, folder)
            if masks:
                write_orderings(orderings, masks, store.frames, folder)
            if arguments.landmarks:
                write_ceiling(ceiling, folder)


def compare(data: Path, path: Path) -> None:
    from echoseg.datasets.source_files import changed_files
    from echoseg.datasets.store import open_store
    from echoseg.errors import DataError

    held = open_store(path).manifest.get("files")
    if held is None:
        raise DataError(f"{path}: was made from no files; give a store that 'echoseg prepare' wrote")
    changed = changed_files(data, held)
    for name, how in changed.items():
        print(f"{data / name}: {how}")
    if changed:
        raise DataError(f"{data}: {len(changed)} files are not those that {path} was made from; prepare it again")
    print(f"{data}: {len(held)} files, all as when {path} was made")
