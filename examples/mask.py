"""The mask approach from Python: synthetic echocardiograms, a training, its measure, a video segmented.

    python examples/mask.py mask-example

Writes the folder named, which must not exist: the data, the run and ``mask.png``, the outline at end-systole.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2

import echoseg
from echoseg.datasets.store import prepare
from echoseg.evaluation.evaluate import evaluate
from echoseg.io.reading import read_frames
from echoseg.phantom import write_phantom
from echoseg.report.overlay import draw_overlay
from echoseg.training.config import Config
from echoseg.training.loop import train


def main(out: Path, *, videos: int = 60, **settings: Any) -> None:
    data = write_phantom(out / "data", videos=videos)
    config = Config(approach="mask", data=str(data), **settings)
    store = prepare(data, size=config.size)
    train(config, store, out / "run")

    predictor = echoseg.load(out / "run")
    print(f"foreground Dice of the test split: {evaluate(predictor, store, 'test').summary['dice']:.3f}")

    frames = read_frames(next((data / "Videos").iterdir()))
    prediction = predictor(frames)  # masks, probabilities, areas
    smallest = prediction.areas.argmin()
    picture = draw_overlay(frames[smallest], predicted=prediction.contours[smallest])
    cv2.imwrite(str(out / "mask.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
