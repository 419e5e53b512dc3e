"""Try echoseg in half a minute, without data and without training.

Makes a synthetic ultrasound video of the heart, segments it with the network
that ships with echoseg, prints the ejection fraction (EF) beside the true one,
and opens the review page, on which contours are corrected by hand.

Writes to --out: phantom/, the video with its tracings, and predicted/, what
'echoseg predict' writes, the film with the contours included.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

HELP = "segment a synthetic video with the network that ships, and review it"
EXAMPLE = "  echoseg demo\n  echoseg demo --out demo --no-browser"
SEED = 31_337
"""Seed of the synthetic patient, which no training uses."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("echoseg-demo"),
        metavar="FOLDER",
        help="folder to write; must not exist (default: %(default)s)",
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the review page")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.errors import DataError
    from echoseg.file_prediction import predict_files
    from echoseg.phantom import write_phantom
    from echoseg.phantom.patient import Patient
    from echoseg.utils.files import new_folder

    out = arguments.out
    with new_folder(out) as folder:
        (video,) = (write_phantom(folder / "phantom", videos=1, seed=SEED) / "Videos").iterdir()
        table = predict_files(None, [video], folder / "predicted")
        if error := table["error"][0]:
            raise DataError(f"{video.name}: {error}")
    row, volumes = table.iloc[0], Patient(SEED, 0).volumes
    interval = "" if math.isnan(row["ef_low"]) else f", 90 % interval {row['ef_low']:.0f} to {row['ef_high']:.0f} %"
    print(f"EF: {row['ef']:.0f} %{interval}")
    print(f"true EF of the synthetic heart: {100 * (1 - volumes.min() / volumes.max()):.0f} %")
    print(f"film: {out / 'predicted' / row['file'] / 'overlay.avi'}")
    if not arguments.no_browser:
        _review(out / "phantom" / "Videos" / video.name, out / "corrections")


def _review(video: Path, corrections: Path) -> None:
    """Serve the page of 'echoseg review VIDEO --corrections FOLDER'."""
    from echoseg.cli import review

    parser = argparse.ArgumentParser()
    review.add_arguments(parser)
    review.run(parser.parse_args([str(video), "--corrections", str(corrections)]))
