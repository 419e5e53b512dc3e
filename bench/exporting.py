"""Frames per second of an exported run on one thread: onnxruntime, the torch.export archive, and echoseg's predictor.

    python bench/exporting.py runs/landmark-1

All give the same landmarks or masks, which `echoseg export` checks when it writes a file. The floor is the network in
torch, without decoding. The contenders take turns. The results are medians of processor time, which depends little on
other load of the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import echoseg
from echoseg.geometry.crop import Box, Crop
from echoseg.inference.export import export_graph
from echoseg.phantom.patient import Patient
from echoseg.training.checkpoint import load_run

TURNS = 20
OURS = "echoseg"


def contenders(run: Path, folder: Path) -> dict[str, Callable[[np.ndarray], Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for format in ("onnx", "torch"):
        export_graph(run, folder / format, format=format)
    session = onnxruntime.InferenceSession(folder / "onnx", options, providers=["CPUExecutionProvider"])
    with (folder / "torch").open("rb") as file:
        archive = torch.export.load(file).module()
    model = load_run(run)[1]
    return {
        "floor: the network alone": lambda frames: model(torch.from_numpy(frames)),
        OURS: echoseg.load(run, device="cpu"),
        "onnxruntime": lambda frames: session.run(None, {"frames": frames}),
        "torch.export archive": lambda frames: archive(torch.from_numpy(frames)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    torch.set_num_threads(1)
    size = load_run(run)[0].size
    cines = np.stack([Patient(0, i).frame(0) for i in range(16)])
    cines = Crop(Box(0, 0, *cines.shape[1:]), size).frames(cines)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        calls = contenders(run, Path(folder))
        for batch in (1, 16):
            frames = np.ascontiguousarray(cines[:batch])
            took: dict[str, list[float]] = {name: [] for name in calls}
            for turn in range(TURNS + 2):
                for name, call in calls.items():
                    started = time.process_time()
                    call(frames)
                    if turn >= 2:
                        took[name].append(time.process_time() - started)
            rates = {name: batch / float(np.median(times)) for name, times in took.items()}
            for name, rate in rates.items():
                print(f"batch {batch:2d}  {name:26s} {rate:7.0f} frames/s  {rate / rates[OURS]:.2f} ×")


if __name__ == "__main__":
    main()
