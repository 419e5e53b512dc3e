"""Segment every frame of videos: masks, areas and an overlay video each."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "segment videos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must not exist")
    parser.add_argument(
        "--pull-back",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="bring outlines unlike any that was trained on back to possible ones (default: yes)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.set_defaults(usage_error=parser.error)


def run(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from echoseg.data.files import new_folder
    from echoseg.data.video import read_frame_rate, read_frames
    from echoseg.inference.predict import load
    from echoseg.report.results import write_prediction

    stems = [video.stem for video in arguments.videos]
    if len(set(stems)) < len(stems):
        arguments.usage_error("two videos have the same name; predict them one after the other")
    predictor = load(arguments.run_folder, device=arguments.device, pull_back=arguments.pull_back)
    with new_folder(arguments.out) as folder:
        for video in tqdm(arguments.videos, disable=None):
            frames = read_frames(video)
            write_prediction(frames, predictor(frames), folder / video.stem, fps=read_frame_rate(video))
    print(f"wrote {len(stems)} videos to {arguments.out}")
