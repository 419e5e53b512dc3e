"""Write a run for others to use: one graph that needs no echoseg, or a folder in the Hugging Face shape.

The graph takes (N, H, W) uint8 frames of the network's size and gives masks and probabilities, or landmarks in pixels;
normalisation and decoding are inside. It is compared with the run before it is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write a run as ONNX, torch.export archive or Hugging Face folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder that 'echoseg train' wrote")
    parser.add_argument(
        "--format",
        choices=("onnx", "torch", "huggingface"),
        required=True,
        help="huggingface: a folder of weights, configuration and model card, which echoseg.load opens too",
    )
    parser.add_argument("--out", type=Path, required=True, help="file (huggingface: folder) to write; must not exist")


def run(arguments: argparse.Namespace) -> None:
    from echoseg.inference.export import export_graph, write_repository
    from echoseg.report.card import model_card
    from echoseg.utils.files import new_folder

    if arguments.format == "huggingface":
        with new_folder(arguments.out) as folder:
            write_repository(arguments.run_folder, folder, model_card(arguments.run_folder))
    else:
        worst = export_graph(arguments.run_folder, arguments.out, format=arguments.format)
        print(f"largest difference from the run, on frames of noise and of phantoms: {worst:.1g}")
    print(f"written to {arguments.out}")
