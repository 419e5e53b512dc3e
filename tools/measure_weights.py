"""Measure the networks that ship on whole cines, with and without smoothing over time.

    python tools/measure_weights.py [CINE]    # two minutes on two cores

Measures 20 synthetic videos against their exact contours, and, if it is given, `color3d_jpeg_baseline.dcm` of the
package pydicom-data (`pip download pydicom-data`) against the tracings of two readers in
tests/inference/cine_observers.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import echoseg
from echoseg.geometry.contour import order_contour
from echoseg.metrics.bootstrap import mean_interval
from echoseg.metrics.overlap import dice
from echoseg.metrics.steadiness import steadiness
from echoseg.models.codec import fill_contours
from echoseg.phantom import write_phantom
from echoseg.phantom.patient import Patient
from echoseg.training.task_settings import APPROACHES

SEED, VIDEOS = 880_002, 20
OBSERVERS = Path(__file__).parent.parent / "tests" / "inference" / "cine_observers.json"


def measure_cine(predict: echoseg.Predictor, clip: echoseg.Clip) -> str:
    """The Dice with each reader in the traced frames, the steadiness, and the EF of each beat."""
    prediction = predict(clip)
    measured, parts = echoseg.measure(prediction, clip), []
    for reader, tracings in json.loads(OBSERVERS.read_text(encoding="utf-8")).items():
        if reader in ("A", "B"):
            true = fill_contours([np.array(points, np.float32) for points in tracings.values()], prediction.size)
            scores = dice(prediction.masks[[int(frame) for frame in tracings]], true)
            parts.append(f"Dice with reader {reader} {scores.mean():.3f} (smallest {scores.min():.3f})")
    values = steadiness(prediction.masks, prediction.areas, prediction.axes, measured.ed)
    parts += [f"{name} {value:.3f}" for name, value in values.items()]
    return ", ".join([*parts, f"EF {np.round(measured.ef).astype(int).tolist()}"])


def measure_phantom(predict: echoseg.Predictor, video: Path, patient: Patient) -> list[float]:
    """The mean and the smallest Dice of a video, the smallest Dice of neighbours, and the jitters of area and base."""
    clip = echoseg.read_clip(video)
    prediction = predict(clip)
    exact = [order_contour(patient.exact_tracing(number)) for number in range(len(clip.frames))]
    scores = dice(prediction.masks, fill_contours(exact, prediction.size))
    ed = echoseg.measure(prediction, clip).ed
    values = steadiness(prediction.masks, prediction.areas, prediction.axes, ed)
    return [
        scores.mean(),
        scores.min(),
        *(values[name] for name in ("neighbour_dice", "area_jitter_percent", "base_jitter_px")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cine", type=Path, nargs="?", metavar="CINE", help="color3d_jpeg_baseline.dcm")
    cine = parser.parse_args().cine
    with tempfile.TemporaryDirectory() as folder:
        videos = sorted((write_phantom(Path(folder) / "phantom", videos=VIDEOS, seed=SEED) / "Videos").iterdir())
        for approach in APPROACHES:
            means = {}
            for smooth in (False, True):
                predict = echoseg.load(approach=approach, smooth=smooth, device="cpu")
                title = f"{approach}, {'with' if smooth else 'without'} smoothing"
                rows = [measure_phantom(predict, video, Patient(SEED, i)) for i, video in enumerate(videos)]
                means[smooth] = np.array(rows)[:, 0]
                print(f"{title}, {VIDEOS} phantoms: {np.round(np.mean(rows, axis=0), 4).tolist()}", flush=True)
                if cine is not None:
                    print(f"{title}, cine: {measure_cine(predict, echoseg.read_clip(cine))}", flush=True)
            gain = means[True] - means[False]
            low, high = mean_interval(gain, [video.name for video in videos])
            print(f"{approach}, gain of Dice by smoothing: {gain.mean():.4f} ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
