"""Write a trained network as a file or folder for use elsewhere.

onnx and torch: one file that onnxruntime or torch.export loads, without
echoseg. Its input is (N, H, W) uint8 frames of the network's size; its output
is masks and probabilities, or landmarks in pixels, and the confidence in them.
Normalization and decoding are part of it; smoothing over time is not. Its
metadata say what the outputs mean, and have the intervals of the ejection
fraction (EF), the results, the licence and the intended use. The file is kept
only if its output equals that of the run.

huggingface: a folder with weights, configuration and model card, as the
Hugging Face Hub wants it. echoseg.load and every command with RUN read it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from echoseg.cli.flags import add_run

HELP = "export a network: ONNX, torch.export or Hugging Face"
EXAMPLE = "  echoseg export runs/mask-1 --format onnx --out network.onnx"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument(
        "--format",
        choices=("onnx", "torch", "huggingface"),
        required=True,
        help="what to write (required; onnx needs pip install 'echoseg[export]')",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="file to write, or folder for huggingface; must not exist (required)",
    )


def run(arguments: argparse.Namespace) -> None:
    from echoseg.inference.export import export_graph, write_repository
    from echoseg.report.card import card_facts, model_card
    from echoseg.report.licences import SYNTHETIC
    from echoseg.report.run_summary import read_run_summary
    from echoseg.utils.files import new_folder

    if arguments.format == "huggingface":
        with new_folder(arguments.out) as folder:
            data = read_run_summary(arguments.run_folder).data
            card = model_card(arguments.run_folder)
            write_repository(arguments.run_folder, folder, card, None if data == SYNTHETIC else data)
    else:
        worst = export_graph(
            arguments.run_folder, arguments.out, format=arguments.format, facts=card_facts(arguments.run_folder)
        )
        print(f"largest difference from the run, in pixels or probability, on noise and synthetic images: {worst:.1g}")
    print(f"written to {arguments.out}")
