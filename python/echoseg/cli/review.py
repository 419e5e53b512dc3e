"""Open a page on which a person corrects contours; corrections are saved at once, to a folder of their own."""

from __future__ import annotations

import argparse
import ipaddress
from pathlib import Path

from echoseg.cli.numbers import whole_number
from echoseg.errors import DataError

HELP = "correct contours by hand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument(
        "inputs", type=Path, nargs="+", metavar="INPUT", help="videos, folders of videos, or data sets with tracings"
    )
    parser.add_argument("--data", type=Path, metavar="DATA", help="data set that holds the videos' tracings")
    parser.add_argument(
        "--corrections", type=Path, metavar="FOLDER", help="to go on with or to make (default: RUN/corrections)"
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="to listen on; others can reach it then (default: %(default)s)",
    )
    parser.add_argument("--port", type=whole_number(0), default=0, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="print the link, open nothing")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    try:
        address = ipaddress.ip_address(arguments.host)
    except ValueError:
        arguments.usage_error(f"--host {arguments.host}: give an address of this machine, such as 127.0.0.1")
    if address.is_unspecified:
        arguments.usage_error(f"--host {arguments.host}: name the one address to listen on, not all of them")
    try:
        from echoseg.review.server import make_app, serve
    except ModuleNotFoundError as error:
        raise DataError(f"{error.name} is missing; pip install 'echoseg[review]'") from None
    import webbrowser

    from echoseg.inference.predictor import load
    from echoseg.review.clips import Clips, find_review_clips
    from echoseg.review.corrections_folder import CorrectionsFolder

    sources, kind = find_review_clips(arguments.inputs, arguments.data)
    clips = Clips(load(arguments.run_folder, device=arguments.device), sources)
    kind = kind or ("points" if clips.drawing.straight is None else "chords")
    folder = arguments.corrections or arguments.run_folder / "corrections"
    corrections = CorrectionsFolder(folder, clips.drawing, kind=kind)
    links: list[str] = []

    def announce(link: str) -> None:
        links.append(link)
        if len(links) > 1:
            print(f"that link is used up; another browser would need {link}", flush=True)
            return
        if not address.is_loopback:
            print("others on the network can reach the page, and read what it sends", flush=True)
        print(f"corrections: {folder}\nopen once: {link}\nCtrl+C ends", flush=True)
        if not arguments.no_browser:
            webbrowser.open(link)

    try:
        serve(make_app(clips, corrections), host=arguments.host, port=arguments.port, announce=announce)
    except KeyboardInterrupt:
        print(f"\n{len(sources)} clips; corrections are in {folder}")
