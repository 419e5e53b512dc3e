"""The landmark approach from Python: synthetic echocardiograms, a training, how far to trust it, volumes of a video.

    python examples/landmark.py landmark-example

Writes the folder named, which must not exist: the data, the run and ``landmark.png``, outline and landmarks in the
frame whose area is least certain.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2

import echoseg
from echoseg.datasets.store import prepare
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.measure import measure
from echoseg.io.reading import read_clip
from echoseg.phantom import write_phantom
from echoseg.report.overlay import draw_overlay
from echoseg.training.config import Config
from echoseg.training.loop import train


def main(out: Path, *, videos: int = 60, **settings: Any) -> None:
    data = write_phantom(out / "data", videos=videos)
    config = Config(approach="landmark", data=str(data), **settings)
    store = prepare(data, size=config.size)
    train(config, store, out / "run")
    calibrate(out / "run", store)  # what heatmaps say of errors, from the validation split

    predictor = echoseg.load(out / "run")
    summary = evaluate(predictor, store, "test").summary
    print(f"test split: Dice {summary['dice']:.3f}, landmarks {summary['landmark_error_px']:.2f} px off")

    clip = read_clip(next((data / "Videos").iterdir()))
    prediction = predictor(clip.frames)  # masks, landmarks, areas and their intervals
    measured = measure(prediction, clip)
    print(f"{len(measured.ef)} beats, EF {measured.mean_ef:.0f}%")

    doubtful = prediction.area_std.argmax()
    picture = draw_overlay(
        clip.frames[doubtful], predicted=prediction.contours[doubtful], landmarks=prediction.landmarks[doubtful]
    )
    cv2.imwrite(str(out / "landmark.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
