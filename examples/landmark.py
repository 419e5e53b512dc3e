"""Train on landmarks, measure, and draw the least certain frame of a clip: ``python examples/landmark.py OUT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2

import echoseg
from echoseg.phantom import write_phantom
from echoseg.report.overlay import draw_overlay


def main(out: Path, *, videos: int = 60, **settings: Any) -> None:
    data = write_phantom(out / "data", videos=videos)
    run = echoseg.train(data, approach="landmark", out=out / "run", **settings)
    test = run.metrics["test"]
    print(f"test split: Dice {test['dice']:.3f}, mean landmark error {test['landmark_error_px']:.2f} px")

    clip = echoseg.read_clip(next((data / "Videos").iterdir()))
    prediction = echoseg.load(run)(clip)
    measurement = echoseg.measure(prediction, clip)
    print(f"{len(measurement.ef)} beats, EF {measurement.mean_ef:.0f}%")

    frame = prediction.area_std.argmax()
    image = draw_overlay(
        clip.frames[frame], predicted=prediction.contours[frame], landmarks=prediction.landmarks[frame]
    )
    cv2.imwrite(str(out / "landmark.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
