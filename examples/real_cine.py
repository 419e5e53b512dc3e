"""How a model trained on phantoms alone does on a real apical four-chamber cine.

    python examples/real_cine.py runs/landmark-1 --out cine

The cine is the one that pydicom ships as its example ``ybr_color``. Writes masks, areas and an overlay video as
``echoseg predict`` does, and ``cine.png``: systole, diastole and the area of each frame. Prints the foreground Dice in
the four frames of ``real_cine.csv``: 22 end-diastole, 4 end-systole, 10 with the mitral valve wide open, 27 early
systole. They were traced by eye for echoseg, by no cardiologist, on the frame enlarged six times: along the inner
border of the compact muscle, trabeculae and papillary muscle inside, from hinge to hinge across the mitral annulus.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydicom.examples import get_path

import echoseg
from echoseg.inference.measure import measure
from echoseg.io.reading import read_clip
from echoseg.metrics.overlap import dice
from echoseg.ops import fill_polygons
from echoseg.report.overlay import draw_overlay
from echoseg.report.results import write_prediction
from echoseg.utils.files import new_folder


def load_outlines() -> dict[int, np.ndarray]:
    """By frame, (P, 2) float32: the ventricle as traced by eye, pixels of the cine."""
    table = pd.read_csv(Path(__file__).with_name("real_cine.csv"))
    return {
        frame: np.ascontiguousarray(points[["x", "y"]], dtype=np.float32) for frame, points in table.groupby("frame")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    path, predictor = get_path("ybr_color"), echoseg.load(arguments.run)
    clip = read_clip(path)
    prediction = predictor(clip)
    measured = measure(prediction, clip)
    true = {frame: fill_polygons(outline[None], clip.frames.shape[1:]) for frame, outline in load_outlines().items()}
    scores = {frame: dice(prediction.masks[frame][None], mask)[0] for frame, mask in true.items()}
    with new_folder(arguments.out) as folder:
        write_prediction(path, clip, prediction, measured, folder, keep=["masks", "frames", "overlay"])
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        *pictures, curve = figure.subplots(1, 3)
        extremes = {"smallest": prediction.areas.argmin(), "largest": prediction.areas.argmax()}
        for axis, (name, frame) in zip(pictures, extremes.items(), strict=True):
            landmarks = None if prediction.landmarks is None else prediction.landmarks[frame]
            axis.imshow(draw_overlay(clip.frames[frame], predicted=prediction.contours[frame], landmarks=landmarks))
            axis.set_axis_off()
            axis.set_title(f"frame {frame}: {name} area", fontsize=9)
        curve.plot(prediction.areas, color="black", label="predicted")
        curve.plot(list(true), [mask.sum() for mask in true.values()], "o", color="tab:orange", label="traced by eye")
        curve.set(xlabel="frame", ylabel="area, px", ylim=(0, None))
        curve.legend(frameon=False)
        figure.savefig(folder / "cine.png", dpi=110)
    for frame, score in scores.items():
        print(f"frame {frame:2d}  foreground Dice {score:.3f}")
    print(f"mean      foreground Dice {np.mean(list(scores.values())):.3f}")
    steady = dice(prediction.masks[1:], prediction.masks[:-1])
    print(f"frame to frame: Dice {steady.min():.3f} at least, {np.median(steady):.3f} in the middle")
    print(f"EDV {measured.mean_edv:.0f} {measured.unit}, ESV {measured.mean_esv:.0f}, EF {measured.mean_ef:.0f} %")
    print(arguments.out)


if __name__ == "__main__":
    main()
