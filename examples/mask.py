"""Train on masks, measure, predict a clip and draw its contour: ``python examples/mask.py OUT``."""

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
    run = echoseg.train(data, approach="mask", out=out / "run", **settings)
    print(f"foreground Dice of the test split: {run.metrics['test']['dice']:.3f}")

    clip = echoseg.read_clip(next((data / "Videos").iterdir()))
    prediction = echoseg.load(run)(clip)
    smallest = prediction.areas.argmin()
    image = draw_overlay(clip.frames[smallest], predicted=prediction.contours[smallest])
    cv2.imwrite(str(out / "mask.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
