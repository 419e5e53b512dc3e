from __future__ import annotations

import dataclasses
import json

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
import torch

from _folders import SUNNYBROOK
from _predictions import of_probabilities
from echoseg.datasets.store import prepare
from echoseg.datasets.truth import find_truth, is_truth, read_truth
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.stacks import measure_stacks, summarise_stacks
from echoseg.geometry.crop import cut, paste
from echoseg.inference.predictor import Predictor
from echoseg.io.nifti import write_mask
from echoseg.io.reading import open_volume, read_clip, read_frames
from echoseg.report import stack_files
from echoseg.report.results import write_evaluation
from echoseg.report.slices import PREDICTED, TRUE, slice_pictures
from echoseg.report.stack_files import write_stack
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
    """A stack whose slices read as MASKS' transposed voxels, and the truth beside it."""
    rng = np.random.default_rng(0)
    for name, masks in (("heart", rng.integers(0, 99, MASKS.shape)), ("heart_gt", true)):
        if masks is not None:
            nibabel.save(
                nibabel.Nifti1Image(masks.transpose(2, 1, 0).astype(np.int16), AFFINE), folder / f"{name}.nii.gz"
            )
    return folder / "heart.nii.gz"


def test_all_of_a_stack_with_truth(tmp_path):
    true = np.roll(MASKS, 1, axis=0)
    path = write_files(tmp_path, true)
    facts = write_stack(path, read_clip(path), of_probabilities(MASKS), tmp_path / "out")
    both = (MASKS & true).sum()
    assert facts == json.loads((tmp_path / "out" / "stack.json").read_text())
    assert facts["volume_ml"] == pytest.approx(MASKS.sum() * VOXEL)
    assert facts["volume_mm3"] == pytest.approx(MASKS.sum() * VOXEL * 1000)
    assert facts["true_volume_ml"] == pytest.approx(true.sum() * VOXEL)
    assert facts["volume_dice"] == pytest.approx(2 * both / (MASKS.sum() + true.sum()))
    table = pd.read_csv(tmp_path / "out" / "slices.csv")
    assert table["dice"][0] == 0
    np.testing.assert_allclose(table["area_mm2"], MASKS.sum(axis=(1, 2)) * 1.5 * 1.25, atol=1e-3)
    mask = nibabel.load(tmp_path / "out" / "mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj).transpose(2, 1, 0), MASKS)
    np.testing.assert_array_equal(mask.affine, AFFINE)
    assert len(read_frames(tmp_path / "out" / "slices.avi")) == len(MASKS)
    assert cv2.imread(str(tmp_path / "out" / "slices.png")).shape[0] > 300
    assert "true volume" in (tmp_path / "out" / "view3d.html").read_text(encoding="utf-8")


def test_stack_without_truth_and_without_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stack_files, "find_spec", lambda name: None)
    path = write_files(tmp_path)
    facts = write_stack(path, read_clip(path), of_probabilities(MASKS), tmp_path / "out")
    assert set(facts) == {"volume_mm3", "volume_ml"}
    assert "echoseg[view3d]" in capsys.readouterr().err
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        "mask.nii.gz", "slices.csv", "stack.json", "slices.png", "slices.avi"
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["shape", "labels", "damage"])
def test_truth_that_cannot_be_used_is_named_and_left_out(tmp_path, capsys, fault):
    path = write_files(tmp_path, MASKS[1:] if fault == "shape" else MASKS.cumsum(axis=0))
    if fault == "damage":
        (tmp_path / "heart_gt.nii.gz").write_bytes(b"nothing")
    facts = write_stack(path, read_clip(path), of_probabilities(MASKS), tmp_path / "out")
    assert "heart_gt.nii.gz" in capsys.readouterr().err
    assert "true_volume_ml" not in facts


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mhd"])
def test_truth_is_found_beside_its_volume(tmp_path, ending):
    names = [f"a{ending}", "a_seg.nii.gz", "b_gt.nii", "c_ED.nii.gz"]
    for name in names:
        (tmp_path / name).touch()
    assert find_truth(tmp_path / names[0]) == tmp_path / "a_seg.nii.gz"
    assert [find_truth(tmp_path / name) for name in names[1:]] == [None] * 3
    assert [is_truth(tmp_path / name) for name in names] == [False, True, False, False]


def test_nothing_found_is_written_all_the_same(tmp_path):
    path = write_files(tmp_path)
    facts = write_stack(path, read_clip(path), of_probabilities(np.zeros_like(MASKS)), tmp_path / "out")
    assert facts["volume_ml"] == 0


def test_unknown_spacing_gives_no_volume(tmp_path):
    path = write_files(tmp_path, MASKS)
    clip = dataclasses.replace(read_clip(path), spacing=(np.nan, np.nan))
    assert set(write_stack(path, clip, of_probabilities(MASKS), tmp_path / "out")) == {"dice", "volume_dice"}
    assert not (tmp_path / "out" / "view3d.html").exists()


def test_pictures_show_both_outlines_and_what_lies_about_them():
    frames = np.zeros((2, 300, 400), np.uint8)
    masks, true = np.zeros((2, *frames.shape), np.uint8)
    masks[0, 100:140, 200:240], true[1, 110:150, 205:245] = 1, 1
    first, second = slice_pictures(frames, of_probabilities(masks), true)
    assert first.shape == second.shape
    assert (
        first.shape[0] % (2 * 49 + 1) == first.shape[1] % (2 * 49 + 1) == 0
    )  # twice as wide as both, by a whole number
    for picture, colour in ((first, PREDICTED), (second, TRUE)):
        assert (np.abs(picture.astype(int) - colour).sum(axis=2) < 30).any()
    assert not (second == PREDICTED).all(axis=2).any()


def evaluated(rows):
    """Images and samples of slices: patient, video, phase, area, true area, both, thickness."""
    names = ["patient", "video", "phase", "area_px", "true_area_px", "both", "thickness"]
    table = pd.DataFrame(rows, columns=names)
    table["dice"] = 2 * table.pop("both") / (table["area_px"] + table["true_area_px"])
    return table, table[["thickness"]].assign(spacing_y=2.0, spacing_x=1.5)


def test_volumes_and_ejection_fractions_by_patient():
    images, samples = evaluated([
        ("p", "p_ED", "ED", 1000, 900, 800, 10.0),
        ("p", "p_ED", "ED", 500, 700, 400, 10.0),
        ("p", "p_ES", "ES", 600, 700, 500, 10.0),
        ("q", "q", "", 10, 20, 5, 8.0),
        ("r", "r_ED", "ED", 10, 20, 5, 8.0),
        ("s", "film", "ED", 10, 20, 5, np.nan),
    ])  # fmt: skip
    table = measure_stacks(images, samples.set_index(np.arange(6) + 40)).set_index("video")
    assert list(table.index) == ["p_ED", "p_ES", "q", "r_ED"]
    assert list(table["slices"]) == [2, 1, 1, 1]
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
    assert summary["ef"] == pytest.approx({"patients": 1, "ef": 60, "true_ef": 56.25, "bias": 3.75, "mae": 3.75})
    images = {"dice": 0, "dice_ci95": (0, 0), "dice_all_pixels": 0, "iou": 0, "hd95_px": 0, "assd_px": 0, "images": 4}
    images |= {"empty_predictions": 0, "patients": 2, "all_black": images}
    rows = [line.split() for line in metrics_table({**images, "stacks": summary}, "test").split("\n")]
    score = f"{summary['ED']['volume_dice']:.4f}"
    assert ["volume,", "ml,", "ED", "2", score, "22.6", "24.2", "-1.6", "1.6"] in rows
    assert ["EF,", "%", "1", "60.0", "56.2", "3.8", "3.8"] in rows


def test_two_stacks_of_one_phase_have_no_ejection_fraction():
    rows = [("p", name, name[:2], 10, 10, 10, 8.0) for name in ("ED1", "ED2", "ES1")]
    assert measure_stacks(*evaluated(rows))["ef"].isna().all()


def test_films_are_no_stacks():
    assert measure_stacks(*evaluated([("s", "film", "ED", 10, 20, 5, np.nan)])).empty


class Bright(Predictor):
    """Segments what is bright, so that truth and prediction are the same where images are what masks show."""

    def __init__(self, **settings):
        config = Config(approach="mask", width=8, depth=2, precision="float32", **settings)
        super().__init__(config, *checkpoint.build(config), torch.device("cpu"))

    def _segment(self, frames, crop):
        return of_probabilities(paste(cut(frames, crop.box) > 100, crop.box, frames.shape[1:]))


def write_patients(folder):
    """Two patients at ED and ES, each stack turned and tilted in its own way; the volumes in ml by file."""
    volumes = {}
    turns = [np.diag([1, 1, 1]), np.diag([-1, 1, -1]), np.eye(3)[[2, 0, 1]], np.eye(3)[[1, 2, 0]] * [1, -1, 1]]
    tilt = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    for number, turn in enumerate(turns):
        name = f"p{number // 2}_{('ED', 'ES')[number % 2]}"
        masks = np.stack([disc(radius - 3 * (number % 2)) for radius in (9, 12, 14 + number, 11)])
        affine = np.eye(4)
        affine[:3, :3] = tilt @ turn * [1.5, 1.25, 9]
        for suffix, voxels in (("", masks * 150 + 20), ("_gt", masks)):
            image = nibabel.Nifti1Image(voxels.transpose(2, 1, 0).astype(np.int16), affine)
            nibabel.save(image, folder / f"{name}{suffix}.nii.gz")
        volumes[name] = masks.sum() * VOXEL
    return volumes


def test_evaluation_adds_slices_up_to_the_files_own_volumes(tmp_path):
    volumes = write_patients(tmp_path)
    store = prepare(tmp_path, size=(48, 48), fov_mm=60.0)
    evaluation = evaluate(Bright(size=(48, 48), fov_mm=60.0), store, "all")
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


def test_prediction_lies_where_the_file_is_bright(tmp_path):
    write_patients(tmp_path)
    for path in sorted(tmp_path.glob("*_E?.nii.gz")):
        prediction = Bright(size=(48, 48), fov_mm=55.0)(read_clip(path))
        write_mask(tmp_path / "mask.nii.gz", prediction.masks, open_volume(path))
        image, mask = nibabel.load(path), nibabel.load(tmp_path / "mask.nii.gz")
        np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(image.dataobj) > 100)
        assert mask.affine.tobytes() == image.affine.tobytes()


@pytest.mark.skipif(not SUNNYBROOK.exists(), reason="the data are not part of the repository")
@pytest.mark.parametrize("phase", ["ED", "ES"])
def test_sunnybrook_truth_as_prediction(tmp_path, phase):
    path = SUNNYBROOK / "nifti" / f"SC-HF-I-1_{phase}.nii.gz"
    clip, true = read_clip(path), read_truth(path, find_truth(path))
    facts = write_stack(path, clip, of_probabilities(true), tmp_path)
    assert facts["volume_dice"] == facts["dice"] == 1
    assert facts["volume_ml"] == pytest.approx({"ED": 201.818, "ES": 151.013}[phase], abs=0.001)
    mask, label = nibabel.load(tmp_path / "mask.nii.gz"), nibabel.load(find_truth(path))
    np.testing.assert_array_equal(np.asarray(mask.dataobj), np.asarray(label.dataobj))
    assert mask.affine.tobytes() == nibabel.load(path).affine.tobytes()
