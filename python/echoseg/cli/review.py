"""Correct predicted contours by hand, on a page in the web browser.

The page is served by this computer, and only to it unless --host is given. It
needs pip install 'echoseg[review]'. Ctrl-C ends the review.

Writes each correction at once, to --corrections: Landmarks.csv (the points as
they were left), VolumeTracings.csv (the contours as tracings, on which
'echoseg train --corrections' trains) and audit.jsonl (a log of all changes).
The videos and their data set are never changed.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from echoseg.cli.flags import add_device, add_run_and_inputs, add_smooth, split_run, whole_number
from echoseg.errors import DataError
from echoseg.utils.words import counted

if TYPE_CHECKING:
    from echoseg.review.clips import Clips
    from echoseg.review.corrections_folder import CorrectionsFolder

HELP = "correct predicted contours by hand, in the browser"
EXAMPLE = "  echoseg review runs/landmark-1 data/Videos --data data"
_SHOWN = 5  # files that are named in the terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_and_inputs(
        parser,
        "videos or other files with frames, folders of them with their subfolders, data sets with tracings, or a table"
        " that 'echoseg suggest' wrote, whose frames come first",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="data set that has tracings of the videos; they are shown beside the prediction (default: none)",
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="FOLDER",
        help="folder of the corrections; an earlier review in it is continued (default: RUN/corrections; without RUN,"
        " ./corrections)",
    )
    parser.add_argument(
        "--reader",
        type=_reader_name,
        metavar="NAME",
        help="name of a second person who reviews the same files; the corrections are kept apart, in readers/NAME of"
        " --corrections, and the page shows none of the others' (default: the first reader, without a name)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of this computer at which the page is served; with any other than the default, other computers"
        " can reach it (default: %(default)s, this computer only)",
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=0,
        metavar="N",
        help="port at which the page is served; 0 takes any that is free (default: %(default)s)",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the link of the page without opening it")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="FOLDER",
        help="serve no page; write the corrected and accepted frames as a data set, in the layout of EchoNet-Dynamic"
        " with copies of the files, from which 'echoseg train --data FOLDER --init RUN' learns; must not exist",
    )
    parser.add_argument(
        "--export-masks",
        type=Path,
        metavar="FOLDER",
        help="serve no page; write a folder for each file with a corrected or accepted frame, with what 'Download as"
        " ZIP' gives: masks as TIFF, PNG and NIfTI, of DICOM files also as DICOM segmentation (it needs pip install"
        " 'echoseg[dicomseg]'), areas, volumes and beats; corrections are carried to the other frames; must not exist",
    )
    parser.add_argument(
        "--agreement",
        type=Path,
        metavar="FOLDER",
        help="serve no page; compare the readers in the frames that two of them have corrected or accepted: Dice,"
        " distances of contours and landmarks, EDV, ESV and EF; must not exist",
    )
    add_smooth(parser)
    add_device(parser)


def _reader_name(text: str) -> str:
    if not re.fullmatch(r"\w[\w-]{0,39}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: give a name of up to 40 letters, digits, '-' and '_'")
    return text


def run(arguments: argparse.Namespace) -> None:
    address = _address(arguments)
    if arguments.agreement is not None and (arguments.export is not None or arguments.export_masks is not None):
        arguments.usage_error("--agreement writes no other files; leave out --export and --export-masks")
    if arguments.agreement is not None and arguments.reader is not None:
        arguments.usage_error("--agreement compares all readers; leave out --reader")
    if arguments.export is None and arguments.export_masks is None and arguments.agreement is None:
        try:
            import echoseg.review.server  # noqa: F401
        except ModuleNotFoundError as error:
            raise DataError(f"{error.name} is missing; pip install 'echoseg[review]'") from None
    from echoseg.inference.predictor import load
    from echoseg.review.clips import Clips
    from echoseg.review.corrections_folder import CorrectionsFolder, readers_of
    from echoseg.review.sources import find_review_clips, separate_unreadable

    run_folder, inputs = split_run(arguments)
    predictor = load(
        run_folder,
        approach=arguments.approach or "landmark",
        device=arguments.device,
        smooth=arguments.smooth,
    )
    sources, kind = find_review_clips(inputs, arguments.data, predictor.config.structure)
    sources, left_out = separate_unreadable(sources, inputs)
    for line in left_out[:_SHOWN]:
        print(f"left out: {line}", file=sys.stderr)
    if len(left_out) > _SHOWN:
        print(f"left out: {len(left_out) - _SHOWN} more files", file=sys.stderr)
    clips = Clips(predictor, sources)
    kind = kind or ("points" if clips.drawing.straight is None else "chords")
    folder = arguments.corrections or (run_folder or Path()) / "corrections"
    if arguments.agreement is not None:
        _compare_readers(clips, folder, kind, arguments.agreement)
        return
    is_served = arguments.export is None and arguments.export_masks is None
    if not is_served and (arguments.reader or "") not in readers_of(folder):
        of_reader = f" of the reader {arguments.reader}" if arguments.reader else ""
        raise DataError(f"{folder}: has no corrections{of_reader}; check --corrections and --reader")
    reader, files = arguments.reader or "", clips.files
    with closing(CorrectionsFolder(folder, clips.drawing, kind=kind, reader=reader, files=files)) as corrections:
        _print_other_files(corrections)
        if is_served:
            _serve(clips, corrections, run_folder, address, arguments)
        else:
            _export(clips, corrections, arguments)


def _print_other_files(corrections: CorrectionsFolder) -> None:
    names = corrections.other_files
    if names:
        more = ", …" if len(names) > _SHOWN else ""
        place = f"{corrections.folder}: has corrections of {counted(len(names), 'file')} that"
        verb = "is" if len(names) == 1 else "are"
        print(f"{place} {verb} not in this review: {', '.join(names[:_SHOWN])}{more}", file=sys.stderr)


def _address(arguments: argparse.Namespace) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(arguments.host)
    except ValueError:
        arguments.usage_error(f"--host {arguments.host}: give an address of this computer, such as 127.0.0.1")
    if address.is_unspecified:
        arguments.usage_error(f"--host {arguments.host}: give one address of this computer, not all of them")
    return address


def _serve(
    clips: Clips,
    corrections: CorrectionsFolder,
    run_folder: Path | None,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    arguments: argparse.Namespace,
) -> None:
    import webbrowser

    from echoseg.review.learning import Learning
    from echoseg.review.server import make_app, serve

    links: list[str] = []

    def announce(link: str) -> None:
        links.append(link)
        if len(links) > 1:
            print(f"the link was used; to open the page in another browser, use {link}", flush=True)
            return
        if not address.is_loopback:
            print("caution: other computers on the network can reach this page and read what it sends", flush=True)
        place = f"corrections: {corrections.folder}"
        print(f"{place}\npage (the link works once): {link}\nCtrl-C ends the review", flush=True)
        if not arguments.no_browser:
            webbrowser.open(link)

    learning = Learning(clips, corrections, run=run_folder, device=arguments.device)
    try:
        serve(make_app(clips, corrections, learning), host=arguments.host, port=arguments.port, announce=announce)
    except KeyboardInterrupt:
        print(f"\nreviewed: {counted(len(clips.sources), 'file')}; the corrections are in {corrections.folder}")
    finally:
        learning.stop()


def _export(clips: Clips, corrections: CorrectionsFolder, arguments: argparse.Namespace) -> None:
    from echoseg.review.clip_export import export_clips
    from echoseg.review.session_export import export_session

    if arguments.export is not None:
        session = export_session(clips, corrections, arguments.export)
        for line in session.left_out:
            print(f"left out: {line}", file=sys.stderr)
        print(f"written to {arguments.export}: {counted(session.frames, 'frame')} of {counted(session.files, 'file')}")
    if arguments.export_masks is not None:
        masks = export_clips(clips, corrections, arguments.export_masks)
        for line in masks.notes:
            print(f"no DICOM segmentation: {line}", file=sys.stderr)
        print(f"written to {arguments.export_masks}: the masks of {counted(masks.files, 'file')}")


def _compare_readers(clips: Clips, folder: Path, kind: str, out: Path) -> None:
    from echoseg.report.observer_table import observer_table
    from echoseg.report.tables import text_table
    from echoseg.review.corrections_folder import CorrectionsFolder, readers_of
    from echoseg.review.reader_agreement import FIRST_READER, reader_agreement, write_agreement

    names = readers_of(folder)
    if len(names) < 2:
        raise DataError(
            f"{folder}: has the corrections of {counted(len(names), 'reader')}; let a second person review the same "
            "files with --reader NAME"
        )
    with ExitStack() as stack:
        opened = {
            name or FIRST_READER: stack.enter_context(
                closing(CorrectionsFolder(folder, clips.drawing, kind=kind, reader=name, files=clips.files))
            )
            for name in names
        }
        for corrections in opened.values():
            _print_other_files(corrections)
        found = reader_agreement(clips, opened)
    write_agreement(found, out)
    print(text_table(*observer_table({"observers": found.observers})))
    print(f"written to {out}: {len(found.frames)} comparisons of frames")
