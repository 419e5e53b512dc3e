from __future__ import annotations

import dataclasses
import json

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from _folders import SUNNYBROOK
from _predictions import of_probabilities
from echoseg.datasets.store import prepare
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.stacks import measure_stacks, summarise_stacks
from echoseg.geometry.crop import Box, cut, fov_box, paste
from echoseg.inference.measure import measure
from echoseg.inference.predictor import Predictor
from echoseg.inference.stack_row import read_stack_truth
from echoseg.inference.truth import find_truth, read_truth
from echoseg.io.clip import Clip
from echoseg.io.nifti import write_mask
from echoseg.io.reading import open_volume, read_clip, read_frames
from echoseg.models.codec import resize_planes
from echoseg.report import stack_files
from echoseg.report.results import OUTPUTS, write_evaluation, write_prediction
from echoseg.report.slices import PREDICTED, TRUE, slice_images
from echoseg.report.stack_files import STACK_OUTPUTS, write_stack
from echoseg.report.tables import metrics_table
from echoseg.training import checkpoint
from echoseg.training.config import Config

AFFINE = np.array([[-1.5, 0, 0, 30], [0, -1.25, 0, 40], [0, 0, 9, -20], [0, 0, 0, 1.0]])
VOXEL = 1.5 * 1.25 * 9 / 1000  # ml


def disc(radius, centre=(20, 24), size=(40, 48)):
    y, x = np.mgrid[: size[0], : size[1]]
    return np.uint8((y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2)


MASKS = np.stack([disc(radius) for radius in (0, 4, 7, 9, 8)])


def write_files(folder, true=None):
    """Write a stack of the shape of `MASKS`, and its ground truth beside it."""
    rng = np.random.default_rng(0)
    for name, masks in (("heart", rng.integers(0, 99, MASKS.shape)), ("heart_gt", true)):
        if masks is not None:
            nibabel.save(
                nibabel.Nifti1Image(masks.transpose(2, 1, 0).astype(np.int16), AFFINE), folder / f"{name}.nii.gz"
            )
    return folder / "heart.nii.gz"


def write_results(path, masks, folder, true=None, clip=None, **more):
    """Write the results of a prediction; return the content of `stack.json`."""
    clip, prediction = clip or read_clip(path), of_probabilities(masks)
    measurement = dataclasses.replace(measure(prediction, clip, true=true), **more)
    return write_stack(path, clip, prediction, measurement, folder, structure="left atrium")


def test_files_of_a_stack_with_ground_truth(tmp_path):
    true = np.roll(MASKS, 1, axis=0)
    path = write_files(tmp_path, true)
    confidence = np.linspace(0, 1, 10, dtype=np.float32).reshape(5, 2)
    metrics = write_results(path, MASKS, tmp_path / "out", true, confidence=confidence, bsa=2.0)
    intersection = (MASKS & true).sum()
    assert metrics == json.loads((tmp_path / "out" / "stack.json").read_text())
    assert metrics["volume_ml"] == pytest.approx(MASKS.sum() * VOXEL)
    assert metrics["volume_mm3"] == pytest.approx(MASKS.sum() * VOXEL * 1000)
    assert metrics["true_volume_ml"] == pytest.approx(true.sum() * VOXEL)
    assert metrics["true_volume_mm3"] == pytest.approx(true.sum() * VOXEL * 1000)
    assert metrics["index_ml_per_m2"] == pytest.approx(MASKS.sum() * VOXEL / 2)
    assert metrics["volume_dice"] == pytest.approx(2 * intersection / (MASKS.sum() + true.sum()))
    table = pd.read_csv(tmp_path / "out" / "slices.csv")
    assert table["dice"][0] == 0
    np.testing.assert_allclose(table[["mean_probability", "max_probability"]], confidence, atol=1e-4)
    np.testing.assert_allclose(table["area_mm2"], MASKS.sum(axis=(1, 2)) * 1.5 * 1.25, atol=1e-3)
    mask = nibabel.load(tmp_path / "out" / "mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj).transpose(2, 1, 0), MASKS)
    np.testing.assert_array_equal(mask.affine, AFFINE)
    assert len(read_frames(tmp_path / "out" / "slices.avi")) == len(MASKS)
    assert cv2.imread(str(tmp_path / "out" / "slices.png")).shape[0] > 300
    page = (tmp_path / "out" / "view3d.html").read_text(encoding="utf-8")
    assert "true volume" in page
    assert "<h1>Left atrium</h1>" in page
    assert "16–34 ml/m²" in page


def test_files_of_a_stack_without_ground_truth_and_without_plotly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stack_files, "find_spec", lambda name: None)
    path = write_files(tmp_path)
    metrics = write_results(path, MASKS, tmp_path / "out")
    assert set(metrics) == {"volume_mm3", "volume_ml"}
    assert "echoseg[view3d]" in capsys.readouterr().err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "mask.nii.gz", "slices.csv", "stack.json", "slices.png", "slices.avi"
    }  # fmt: skip


KEPT = {
    "masks": {"mask.nii.gz"},
    "frames": {"slices.csv", "stack.json"},
    "overlay": {"slices.png", "slices.avi", "view3d.html"},
    "gif": {"slices.gif"},
}


@pytest.mark.parametrize("keep", [[name] for name in KEPT] + [["gif", "masks"]], ids="-".join)
def test_only_the_outputs_that_were_asked_for_are_written(tmp_path, keep):
    path = write_files(tmp_path)
    clip, prediction = read_clip(path), of_probabilities(MASKS)
    seconds = write_prediction(path, clip, prediction, measure(prediction, clip), tmp_path / "out", keep=keep)
    assert {file.name for file in (tmp_path / "out").iterdir()} == set().union(*(KEPT[name] for name in keep))
    assert seconds.keys() == {*keep, *(["view3d"] if "overlay" in keep else [])}


def test_gif_shows_every_slice(tmp_path):
    path = write_files(tmp_path)
    clip, prediction = read_clip(path), of_probabilities(MASKS)
    write_stack(path, clip, prediction, measure(prediction, clip), tmp_path / "out", keep=["gif"])
    with Image.open(tmp_path / "out" / "slices.gif") as gif:
        assert (gif.n_frames, gif.info["duration"]) == (len(MASKS), 500)


def test_every_output_of_videos_has_one_of_stacks():
    assert set(KEPT) == set(STACK_OUTPUTS) <= set(OUTPUTS)


@pytest.mark.parametrize("fault", ["shape", "labels", "damage"])
def test_unusable_ground_truth_is_reported_and_ignored(tmp_path, fault):
    path = write_files(tmp_path, MASKS[1:] if fault == "shape" else MASKS.cumsum(axis=0))
    if fault == "damage":
        (tmp_path / "heart_gt.nii.gz").write_bytes(b"nothing")
    true, note = read_stack_truth(path, tmp_path / "heart_gt.nii.gz", read_clip(path), None)
    assert true is None
    assert note.startswith("not compared with its ground truth: heart_gt.nii.gz: ")


def test_stack_without_a_contour_has_the_volume_zero(tmp_path):
    path = write_files(tmp_path)
    metrics = write_results(path, np.zeros_like(MASKS), tmp_path / "out")
    assert metrics["volume_ml"] == 0


def test_unknown_spacing_gives_no_volume(tmp_path):
    path = write_files(tmp_path, MASKS)
    clip = dataclasses.replace(read_clip(path), spacing=(np.nan, np.nan))
    assert set(write_results(path, MASKS, tmp_path / "out", MASKS, clip)) == {"dice", "volume_dice"}
    assert not (tmp_path / "out" / "view3d.html").exists()


def test_slice_images_show_both_contours_and_their_surroundings():
    frames = np.zeros((2, 300, 400), np.uint8)
    masks, true = np.zeros((2, *frames.shape), np.uint8)
    masks[0, 100:140, 200:240], true[1, 110:150, 205:245] = 1, 1
    first, second = slice_images(frames, of_probabilities(masks), true)
    assert first.shape == second.shape
    # the crop has twice the size of both masks, and is enlarged by a whole factor
    assert first.shape[0] % (2 * 49 + 1) == first.shape[1] % (2 * 49 + 1) == 0
    for image, colour in ((first, PREDICTED), (second, TRUE)):
        assert (np.abs(image.astype(int) - colour).sum(axis=2) < 30).any()
    assert not (second == PREDICTED).all(axis=2).any()


def slices_of(rows):
    """A table of slices from rows of patient, video, phase, area, true area, intersection and thickness."""
    names = ["patient", "video", "phase", "area_px", "true_area_px", "intersection", "thickness"]
    table = pd.DataFrame(rows, columns=names)
    area_sum = table["area_px"] + table["true_area_px"]
    table["dice"] = (2 * table.pop("intersection") / area_sum).where(area_sum > 0)
    return table.assign(spacing_y=2.0, spacing_x=1.5)


def test_volumes_and_ejection_fractions_by_patient():
    slices = slices_of([
        ("p", "p_ED", "ED", 1000, 900, 800, 10.0),
        ("p", "p_ED", "ED", 500, 700, 400, 10.0),
        ("p", "p_ED", "ED", 0, 0, 0, 10.0),
        ("p", "p_ES", "ES", 600, 700, 500, 10.0),
        ("q", "q", "", 10, 20, 5, 8.0),
        ("r", "r_ED", "ED", 10, 20, 5, 8.0),
    ])  # fmt: skip
    table = measure_stacks(slices).set_index("video")
    assert list(table.index) == ["p_ED", "p_ES", "q", "r_ED"]
    assert list(table["slices"]) == [3, 1, 1, 1]
    np.testing.assert_allclose(table["volume_ml"], [45, 18, 0.24, 0.24])
    np.testing.assert_allclose(table["true_volume_ml"], [48, 21, 0.48, 0.48])
    assert table["volume_dice"]["p_ED"] == pytest.approx(2 * 1200 / 3100)
    assert table["dice"]["p_ED"] == pytest.approx((1600 / 1900 + 800 / 1200) / 2)
    np.testing.assert_allclose(table["ef"], [60, 60, np.nan, np.nan])
    np.testing.assert_allclose(table["true_ef"], [100 * 27 / 48] * 2 + [np.nan] * 2)
    summary = summarise_stacks(table.reset_index())
    assert list(summary) == ["any", "ED", "ES", "ef"]
    assert [summary[phase]["stacks"] for phase in ("any", "ED", "ES")] == [1, 2, 1]
    assert summary["ED"]["bias_ml"] == pytest.approx((-3 - 0.24) / 2)
    assert summary["ED"]["mae_ml"] == pytest.approx((3 + 0.24) / 2)
    assert summary["ED"]["volume_similarity"] == pytest.approx((1 - 3 / 93 + 1 - 0.24 / 0.72) / 2)
    assert summary["ED"]["ci95"]["bias_ml"] == pytest.approx([-3, -0.24])  # of two patients
    ef = {name: value for name, value in summary["ef"].items() if name != "ci95"}
    assert ef == pytest.approx({"patients": 1, "ef": 60, "true_ef": 56.25, "bias": 3.75, "mae": 3.75})
    images = {"dice": 0, "dice_ci95": (0, 0), "dice_all_pixels": 0, "iou": 0, "hd95_px": 0, "assd_px": 0, "images": 4}
    images |= {"empty_predictions": 0, "patients": 2, "all_black": images}
    rows = [line.split() for line in metrics_table({**images, "stacks": summary}, "test").split("\n")]
    score = f"{summary['ED']['volume_dice']:.4f}"
    (ed,) = (row for row in rows if row[:3] == ["volume,", "ml,", "ED"])
    assert ed[3:6] == ["2", score, "22.6"]
    assert ed[-2:] == ["1.6", "(0.2–3.0)"]
    (ef,) = (row for row in rows if row[:2] == ["EF,", "%"])
    assert ef[2:4] == ["1", "60.0"]


def test_two_stacks_of_one_phase_have_no_ejection_fraction_and_the_patient_is_named(caplog):
    rows = [("p", name, name[:2], 10, 10, 10, 8.0) for name in ("ED1", "ED2", "ES1")]
    with caplog.at_level("WARNING", logger="echoseg"):
        assert measure_stacks(slices_of(rows))["ef"].isna().all()
    (message,) = caplog.messages
    assert message.startswith("no EF of p: which ED belongs to which ES is unknown")


def test_stacks_of_two_visits_are_paired_within_a_visit():
    rows = [
        (f"anna_{name}", name[-2:], volume)
        for name, volume in (("v1_ED", 10), ("v1_ES", 5), ("v2_ED", 8), ("v2_ES", 6))
    ]
    table = measure_stacks(slices_of([("anna", video, phase, n, n, n, 8.0) for video, phase, n in rows]))
    np.testing.assert_allclose(table["ef"], [50, 50, 25, 25])
    summary = summarise_stacks(table)["ef"]
    assert (summary["patients"], summary["ef"]) == (1, pytest.approx(37.5))
    apart = measure_stacks(slices_of([("anna", video, phase, n, n, n, 8.0) for video, phase, n in rows[1:3]]))
    assert apart["ef"].isna().all()


def test_a_pair_without_ef_and_an_incomplete_visit_are_not_called_unknown(caplog):
    pair = [("p", "p_v1_ED", "ED", 0, 10, 0, 8.0), ("p", "p_v1_ES", "ES", 5, 6, 5, 8.0)]
    incomplete = [("p", "p_v2_ED", "ED", 1, 1, 1, 8.0), ("p", "p_v3_ES", "ES", 1, 1, 1, 8.0)]
    several = [("p", f"p_v4_{name}_frame{i}", name, 1, 1, 1, 8.0) for i, name in enumerate(("ED", "ES", "ES"))]
    with caplog.at_level("WARNING", logger="echoseg"):
        table = measure_stacks(slices_of([*pair, *incomplete]))
        assert caplog.messages == []
        assert table["ef"].isna().all()
        np.testing.assert_allclose(table["true_ef"].dropna(), 40)
        measure_stacks(slices_of([*pair, *several]))
        measure_stacks(slices_of(incomplete))
    assert [message.split(":")[0] for message in caplog.messages] == ["no EF of p/p_v4", "no EF of p"]


class BrightnessPredictor(Predictor):
    """Segments bright pixels, so that prediction and ground truth agree on the images of `write_patients`."""

    def __init__(self, **settings):
        config = Config(approach="mask", width=8, depth=2, precision="float32", **settings)
        super().__init__(config, *checkpoint.build(config), torch.device("cpu"))

    def __call__(self, source):
        if isinstance(source, np.ndarray):
            source = Clip(source, np.nan, (np.nan, np.nan), np.nan)
        size = source.frames.shape[1:]
        box = fov_box(Box(0, 0, *size), source.spacing, self.config.fov_mm)
        return of_probabilities(paste(cut(source.frames, box) > 100, box, size))

    def segment_cropped(self, cropped, crop, size, *, smooth=False):
        bright = resize_planes(torch.from_numpy(cropped > 100).float(), crop.box[2:]).numpy()
        return of_probabilities(paste(bright, crop.box, size))


def write_patients(folder):
    """Write stacks of two patients at ED and ES with different orientations; return the volumes in ml by file."""
    volumes = {}
    rotations = [np.diag([1, 1, 1]), np.diag([-1, 1, -1]), np.eye(3)[[2, 0, 1]], np.eye(3)[[1, 2, 0]] * [1, -1, 1]]
    tilt = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    for number, rotation in enumerate(rotations):
        name = f"p{number // 2}_{('ED', 'ES')[number % 2]}"
        masks = np.stack([disc(radius - 3 * (number % 2)) for radius in (9, 12, 14 + number, 11)])
        affine = np.eye(4)
        affine[:3, :3] = tilt @ rotation * [1.5, 1.25, 9]
        for suffix, voxels in (("", masks * 150 + 20), ("_gt", masks)):
            image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0).astype(np.int16), affine)
            nibabel.save(image, folder / f"{name}{suffix}.nii.gz")
        volumes[name] = masks.sum() * VOXEL
    return volumes


@pytest.mark.slow
def test_evaluated_slices_add_up_to_the_volumes_of_the_files(tmp_path):
    volumes = write_patients(tmp_path)
    store = prepare(tmp_path, size=(48, 48), fov_mm=60.0)
    evaluation = evaluate(BrightnessPredictor(size=(48, 48), fov_mm=60.0), store, "all")
    stacks = evaluation.stacks.set_index("video")
    assert list(stacks.index) == sorted(volumes)
    assert list(stacks["phase"]) == ["ED", "ES"] * 2
    np.testing.assert_allclose(stacks["true_volume_ml"], list(volumes.values()), rtol=0.03)
    np.testing.assert_allclose(stacks["volume_ml"], list(volumes.values()), rtol=0.05)
    assert (stacks["volume_dice"] > 0.95).all()
    assert evaluation.summary["stacks"]["ef"]["patients"] == 2
    assert evaluation.summary["stacks"]["ef"]["mae"] < 2
    write_evaluation(evaluation, store, "all", tmp_path / "run")
    assert len(pd.read_csv(tmp_path / "run" / "stacks_all.csv")) == 4


def test_written_mask_has_the_orientation_of_the_file(tmp_path):
    write_patients(tmp_path)
    for path in sorted(tmp_path.glob("*_E?.nii.gz")):
        prediction = BrightnessPredictor(size=(48, 48), fov_mm=55.0)(read_clip(path))
        write_mask(tmp_path / "mask.nii.gz", prediction.masks, open_volume(path))
        image, mask = nibabel.load(path), nibabel.load(tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj) > 100)
        assert mask.affine.tobytes() == image.affine.tobytes()


@pytest.mark.slow
@pytest.mark.skipif(not SUNNYBROOK.exists(), reason="the data are not part of the repository")
@pytest.mark.parametrize("phase", ["ED", "ES"])
def test_ground_truth_of_sunnybrook_as_prediction(tmp_path, phase):
    path = SUNNYBROOK / "nifti" / f"SC-HF-I-1_{phase}.nii.gz"
    clip, true = read_clip(path), read_truth(path, find_truth(path))
    metrics = write_results(path, true, tmp_path, true, clip)
    assert metrics["volume_dice"] == metrics["dice"] == 1
    assert metrics["volume_ml"] == pytest.approx({"ED": 201.818, "ES": 151.013}[phase], abs=0.001)
    mask, label = nibabel.load(tmp_path / "mask.nii.gz"), nibabel.load(find_truth(path))
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(label.dataobj))
    assert mask.affine.tobytes() == nibabel.load(path).affine.tobytes()
