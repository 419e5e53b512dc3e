"""Segment every frame of videos, DICOM files, volumes and images, and compute
volumes and, from videos, the ejection fraction (EF).

Writes to --out: results.csv, one row for each file, with end-diastolic and
end-systolic volume (ml, or cubic pixels where the pixel size is unknown) and EF
(percent), each the mean over the heartbeats, the 90 % interval of the EF, and
for a stack of slices its volume, beside the true one where its true mask is
found; and one folder for each file, with what --keep names. A note says if a
file looks unlike the images that the network was trained on. A file that cannot
be read has the reason in its row, and the other files are segmented all the
same; the exit code is 1 only if no file could be segmented. After an
interruption, run the same command with --resume.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from echoseg.cli.flags import add_device, add_postprocess, add_run_and_inputs, add_settings, add_smooth, split_run
from echoseg.utils.words import counted

HELP = "segment videos, DICOM files, volumes and images"
EXAMPLE = "  echoseg predict runs/landmark-1 clip.avi videos/ --out predicted"
_KEEP = ("masks", "overlay", "gif", "frames", "png", "nifti")
_SHOWN = 5  # failures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_and_inputs(
        parser,
        "files to segment, or folders, which are searched together with their subfolders; the"
        " slices of a DICOM series in one folder are one stack",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder to write; must not exist, except with --resume (required)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue in --out: files that have results there are skipped"
    )
    parser.add_argument(
        "--keep",
        nargs="*",
        choices=_KEEP,
        default=["masks", "overlay", "frames"],
        help="what to write to each file's folder. masks: masks.tif, one page for each frame, or mask.nii.gz of a"
        " volume. frames: frames.csv, with area, volume, phase and landmarks of each frame; for a stack, slices.csv and"
        " stack.json. overlay: overlay.avi, the frames with the contour; for a stack, slices.png, slices.avi and"
        " view3d.html. gif: overlay.gif or slices.gif, the same as the AVI. png: png/masks and png/overlays, an"
        " image of each frame, named by file and frame. nifti: mask.nii.gz of videos and images too, with pixel size"
        " and frame time where they are known. --keep without a name writes none of them"
        " (default: masks overlay frames)",
    )
    parser.add_argument(
        "--format",
        choices=["csv", "parquet"],
        default="csv",
        help="file type of the table: results.csv or results.parquet, which needs pip install 'echoseg[parquet]'"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--thresholds",
        type=float,
        nargs="+",
        default=[],
        metavar="P",
        help="also compare these thresholds of the probability (mask approach only): thresholds.html in each file's"
        " folder shows the contours, areas and volumes at each of them, thresholds.csv the areas of all frames"
        " (default: none)",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        metavar="FOLDER",
        help="folder with the true masks of stacks, to compare volumes with (default: masks beside the stacks, or in"
        " labelsTr/ for stacks in imagesTr/)",
    )
    parser.add_argument(
        "--bsa",
        metavar="M2|FILE",
        help="body surface area of the patient in m2, or a CSV file with the columns patient and bsa; volumes are"
        " divided by it (default: none)",
    )
    add_settings(parser, "axis3", "patients")
    add_postprocess(parser)
    add_smooth(parser)
    add_device(parser)


def run(arguments: argparse.Namespace) -> None:
    from echoseg.datasets.structure import LEFT_VENTRICLE
    from echoseg.errors import DataError
    from echoseg.file_prediction import predict_files
    from echoseg.report.patient_volumes import volumes_text
    from echoseg.training.config_file import load_config
    from echoseg.training.logs import configure_logging

    configure_logging("text")
    run_folder, inputs = split_run(arguments)
    out = arguments.out
    table = predict_files(
        run_folder,
        inputs,
        out,
        approach=arguments.approach or "landmark",
        keep=arguments.keep,
        postprocess=arguments.postprocess,
        thresholds=arguments.thresholds,
        smooth=arguments.smooth,
        format=arguments.format,
        patients=arguments.patients,
        truth=arguments.truth,
        bsa=arguments.bsa,
        axis3=arguments.axis3,
        resume=arguments.resume,
        device=arguments.device,
    )
    failed = table[table["error"] != ""]
    lines = [f"{path}: {error}" for path, error in zip(failed["path"], failed["error"], strict=True)]
    if len(failed) and len(failed) == len(table):
        more = f" (and {len(lines) - 1} more; see {out})" if len(lines) > 1 else ""
        raise DataError(lines[0] + more)
    for line in lines[:_SHOWN]:
        print(f"left out: {line}", file=sys.stderr)
    for row in table[table["note"] != ""].head(_SHOWN).itertuples():
        print(f"look at it: {row.path}: {counted(row.frames, 'frame')}, {row.note}", file=sys.stderr)
    structure = None if run_folder is None else load_config(run_folder / "config.yaml").structure
    if text := volumes_text(table, structure or LEFT_VENTRICLE):
        print(text)
    if len(table):  # of the first process alone
        files = counted(len(table), "file")
        print(f"{len(table) - len(failed)} of {files} segmented: {out}/results.{arguments.format}")
    if seconds := table.attrs.get("seconds"):
        print(f"seconds: {', '.join(f'{name} {value:.1f}' for name, value in seconds.items())}")
