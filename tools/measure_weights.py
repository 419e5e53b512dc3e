"""Measure the networks that ship on whole cines, with and without smoothing over time.

    python tools/measure_weights.py [CINE]    # two minutes on two cores

Measures 20 synthetic videos against their exact contours, and, if it is given, `color3d_jpeg_baseline.dcm` of the
package pydicom-data (`pip download pydicom-data`) against the tracings of two readers in
tests/inference/cine_observers.json. There, two frames are corrected too, and the corrections carried to the others.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

import echoseg
from echoseg.geometry.contour import order_contour
from echoseg.inference.propagation import CorrectedFrame, propagate
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


def measure_propagation(predict: echoseg.Predictor, clip: echoseg.Clip) -> str:
    """The Dice with each reader before and after two of the traced frames are corrected, in the other ones.

    The worst frame and the one that is half of the list away are corrected: the landmarks are moved to the nearest
    points of the reader's contour.
    """
    prediction, parts = predict(clip), []
    for reader, tracings in json.loads(OBSERVERS.read_text(encoding="utf-8")).items():
        if reader not in ("A", "B"):
            continue
        frames, contours = (
            [int(frame) for frame in tracings],
            [np.array(each, np.float32) for each in tracings.values()],
        )
        true = fill_contours(contours, prediction.size)
        before = dice(prediction.masks[frames], true)
        chosen = [(int(before.argmin()) + step) % len(frames) for step in (0, len(frames) // 2)]
        corrected = {frames[i]: correct(predict, prediction, frames[i], contours[i]) for i in chosen}
        after = dice(propagate(predict, prediction, corrected, clip.fps).masks[frames], true)
        others = np.delete(np.arange(len(frames)), chosen)
        values = [f"{scores[others].mean():.3f} (smallest {scores[others].min():.3f})" for scores in (before, after)]
        parts.append(f"reader {reader} {values[0]} to {values[1]}")
    return ", ".join(parts)


def correct(
    predict: echoseg.Predictor, prediction: echoseg.Prediction, frame: int, contour: np.ndarray
) -> CorrectedFrame:
    """A frame that a person has corrected to a contour."""
    if prediction.landmarks is None:
        none = np.zeros((0, 2), np.float32)
        return CorrectedFrame(contour, None, np.zeros(0, int), none, np.zeros(0, bool))
    ends = np.stack([contour, np.roll(contour, -1, axis=0)])
    dense = (ends[0] + np.linspace(0, 1, 20)[:, None, None] * (ends[1] - ends[0])).reshape(-1, 2)
    points = prediction.landmarks[frame]
    nearest = dense[np.linalg.norm(points[:, None] - dense, axis=2).argmin(axis=1)].astype(np.float32)
    axes = predict.codec.axes(nearest[None])
    numbers = np.arange(len(points))
    return CorrectedFrame(contour, None if axes is None else axes[0], numbers, nearest, numbers >= 0)


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
            if cine is not None:
                print(f"{approach}, two frames corrected: {measure_propagation(predict, echoseg.read_clip(cine))}")
            gain = means[True] - means[False]
            low, high = mean_interval(gain, [video.name for video in videos])
            print(f"{approach}, gain of Dice by smoothing: {gain.mean():.4f} ({low:.4f} to {high:.4f})")


if __name__ == "__main__":
    main()
