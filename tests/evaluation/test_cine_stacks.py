"""Stacks of slices over time, such as short-axis cines: a curve of the volume, ED, ES and EF."""

from __future__ import annotations

import dataclasses
import json

import nibabel
import numpy as np
import pandas as pd
import pytest

from _predictions import of_probabilities
from echoseg.cli import main
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import prepare
from echoseg.evaluation.evaluate import evaluate
from echoseg.evaluation.run_data import RunData
from echoseg.inference.archive import segment_files
from echoseg.inference.input_files import InputFile
from echoseg.inference.measure import measure
from echoseg.io.reading import read_clip
from echoseg.models.codec import MaskCodec
from echoseg.report.results import OUTPUTS, write_prediction
from echoseg.training.config import Config

AFFINE = np.array([[-1.5, 0, 0, 30], [0, -1.25, 0, 40], [0, 0, 9, -20], [0, 0, 0, 1.0]])
VOXEL = 1.5 * 1.25 * 9 / 1000  # ml
SIZE = (40, 48)


def disc(radius):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.uint8((y - 20) ** 2 + (x - 24) ** 2 < radius**2)


RADII = 11 + 3 * np.cos(np.linspace(0, 2 * np.pi, 21))  # ED at time 0, ES at time 10
MASKS = np.stack([[disc(radius * shape) for shape in (0, 0.6, 1, 0.9)] for radius in RADII])
VOLUMES = MASKS.sum(axis=(1, 2, 3)) * VOXEL


def save(path, frames):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(frames.T, AFFINE)  # x, y, slice and, of a film, time
    image.header.set_xyzt_units("mm", "sec")
    if frames.ndim == 4:
        image.header.set_zooms((1.5, 1.25, 9, 0.04))
    nibabel.save(image, path)
    return path


def film(masks):
    return 30 + 150 * masks


class BrightnessPredictor:
    """Segments what is bright, in place of a network."""

    codec = MaskCodec()

    def __call__(self, clip):
        return of_probabilities(clip.frames > 100)


def write_all(*arguments):
    return write_prediction(*arguments, keep=sorted(OUTPUTS))


def test_the_volume_of_a_time_point_is_the_sum_over_its_slices(tmp_path):
    clip = read_clip(save(tmp_path / "p1_4d.nii.gz", film(MASKS)))
    measured = measure(BrightnessPredictor()(clip), clip)
    assert (clip.time_points, measured.unit) == (21, "ml")
    np.testing.assert_allclose(measured.volumes.reshape(21, 4).sum(axis=1), VOLUMES)
    assert (measured.ed.tolist(), measured.es.tolist()) == ([0], [10])
    assert measured.edv == pytest.approx(VOLUMES[0])
    assert measured.esv == pytest.approx(VOLUMES[10])
    assert measured.mean_ef == pytest.approx(100 * (1 - VOLUMES[10] / VOLUMES[0]))
    assert np.isnan(measured.volume)
    unknown = measure(BrightnessPredictor()(clip), dataclasses.replace(clip, spacing=(np.nan, np.nan)))
    assert unknown.unit == "px3"
    assert unknown.mean_ef == pytest.approx(measured.mean_ef)


@pytest.mark.slow
def test_the_row_and_the_files_of_a_stack_over_time(tmp_path):
    path, truth = save(tmp_path / "p1_4d.nii.gz", film(MASKS)), save(tmp_path / "p1_4d_gt.nii.gz", MASKS)
    file = InputFile("p1", path, "key", None, truth)
    out = tmp_path / "out"
    out.mkdir()
    (row,) = segment_files([file], BrightnessPredictor(), out, write_all)
    assert (row["frames"], row["beats"], row["unit"]) == (21, 1, "ml")
    assert row["fps"] == pytest.approx(25)
    assert (row["edv"], row["esv"]) == pytest.approx((VOLUMES[0], VOLUMES[10]))
    assert row["note"] == ""
    assert (row["true_edv"], row["true_esv"], row["volume_dice"]) == pytest.approx((VOLUMES[0], VOLUMES[10], 1))
    assert row["true_ef"] == pytest.approx(100 * (1 - VOLUMES[10] / VOLUMES[0]))
    assert np.isnan([row["volume"], row["true_volume"], row["true_volume_mm3"]]).all()
    mask = nibabel.load(out / "p1/mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), MASKS.T)
    assert mask.affine.tobytes() == nibabel.load(path).affine.tobytes()
    curve = pd.read_csv(out / "p1/volumes.csv", keep_default_na=False)
    np.testing.assert_allclose(curve["volume_ml"], VOLUMES, atol=1e-3)
    np.testing.assert_allclose(curve["true_volume_ml"], VOLUMES, atol=1e-3)
    assert curve["phase"].tolist() == ["ED", *[""] * 9, "ES", *[""] * 10]
    slices = pd.read_csv(out / "p1/slices.csv")
    np.testing.assert_array_equal(slices["area_px"], MASKS.sum(axis=(2, 3)).ravel())
    np.testing.assert_array_equal(slices["true_area_px"], MASKS.sum(axis=(2, 3)).ravel())
    assert slices["dice"].dropna().eq(1).all()
    assert slices[["time", "slice"]].iloc[-1].tolist() == [20, 3]
    files = {found.name for found in (out / "p1").iterdir()}
    assert files >= {"slices_ED.png", "slices_ES.png", "overlay.avi", "overlay.gif"}
    assert read_clip(out / "p1/overlay.avi").frames.shape[0] == 21


@pytest.mark.slow
def test_the_time_points_that_are_traced_are_compared(tmp_path):
    times = [0, 10]
    shrunk = np.stack([[disc(radius * shape) for shape in (0, 0.5, 0.8, 0.7)] for radius in RADII])
    path = save(tmp_path / "p1_4d.nii.gz", film(MASKS))
    truth = save(tmp_path / "p1_4d_gt.nii.gz", shrunk * np.isin(np.arange(21), times)[:, None, None, None])
    out = tmp_path / "out"
    out.mkdir()
    (row,) = segment_files([InputFile("p1", path, "key", None, truth)], BrightnessPredictor(), out, write_all)
    true = shrunk.sum(axis=(1, 2, 3)) * VOXEL
    assert (row["true_edv"], row["true_esv"]) == pytest.approx((true[0], true[10]))
    assert row["true_ef"] == pytest.approx(100 * (1 - true[10] / true[0]))
    overlap, total = (MASKS & shrunk)[times].sum(), MASKS[times].sum() + shrunk[times].sum()
    assert row["volume_dice"] == pytest.approx(2 * overlap / total)
    curve = pd.read_csv(out / "p1/volumes.csv")
    assert curve["true_volume_ml"].notna().to_numpy().nonzero()[0].tolist() == times
    slices = pd.read_csv(out / "p1/slices.csv")
    assert sorted(slices[slices["true_area_px"].notna()]["time"].unique()) == times
    assert np.isnan(slices["dice"][0])  # no ventricle in either
    expected = 2 * (MASKS[10, 1] & shrunk[10, 1]).sum() / (MASKS[10, 1].sum() + shrunk[10, 1].sum())
    assert slices["dice"][41] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("masks", "note"),
    [
        (MASKS[0], "not compared with its ground truth: p1_4d_gt.nii.gz: is 48×40×4, its image 48×40×4×21;"),
        (0 * MASKS, "not compared with its ground truth: p1_4d_gt.nii.gz: no time point is traced"),
    ],
)
def test_a_truth_of_a_stack_over_time_that_cannot_be_compared(tmp_path, masks, note):
    path, truth = save(tmp_path / "p1_4d.nii.gz", film(MASKS)), save(tmp_path / "p1_4d_gt.nii.gz", masks)
    (row,) = segment_files([InputFile("p1", path, "key", None, truth)], BrightnessPredictor(), tmp_path, None)
    assert row["note"].startswith(note)
    assert np.isnan([row["true_edv"], row["volume_dice"]]).all()


def test_one_traced_time_point_has_a_dice_but_no_ef(tmp_path):
    path = save(tmp_path / "p1_4d.nii.gz", film(MASKS))
    truth = save(tmp_path / "p1_4d_gt.nii.gz", MASKS * (np.arange(21) == 3)[:, None, None, None])
    (row,) = segment_files([InputFile("p1", path, "key", None, truth)], BrightnessPredictor(), tmp_path, None)
    assert row["volume_dice"] == 1
    assert np.isnan([row["true_edv"], row["true_esv"], row["true_ef"]]).all()


def write_acdc(folder, patient, scale=1.0):
    """Write the folder of a patient as ACDC has it; return the true EF."""
    masks = MASKS if scale == 1 else np.stack([[disc(radius * scale) for _ in range(4)] for radius in RADII])
    place = folder / patient
    save(place / f"{patient}_4d.nii.gz", film(masks))
    for time in (0, 10):
        name = f"{patient}_frame{time + 1:02d}"
        # no two slices are equal, as the colours of a grey image would be
        save(place / f"{name}.nii.gz", film(masks[time]) + np.arange(4, dtype=np.uint8)[:, None, None])
        save(place / f"{name}_gt.nii.gz", masks[time])
    (place / "Info.cfg").write_text("ED: 1\nES: 11\nGroup: DCM\nHeight: 184.0\nNbFrame: 21\nWeight: 95.0\n")
    return 100 * (1 - masks[10].sum() / masks[0].sum())


def test_the_frames_of_acdc_have_phases_and_an_ef(tmp_path):
    efs = [write_acdc(tmp_path, "patient001"), write_acdc(tmp_path, "patient002", 0.8)]
    dataset = read_dataset(tmp_path)
    assert dataset.faults == ()
    assert {(item.patient, item.tracings[0].phase) for item in dataset.recordings} == {
        (patient, phase) for patient in ("patient001", "patient002") for phase in ("ED", "ES")
    }
    stacks = evaluate_bright(prepare(tmp_path, size=(48, 48))).stacks
    np.testing.assert_allclose(stacks.groupby("patient")["true_ef"].first(), efs, atol=1)
    np.testing.assert_allclose(stacks.groupby("patient")["ef"].first(), efs, atol=2)


def test_masks_of_a_film_at_ed_and_es_have_an_ef(tmp_path):
    traced = MASKS * np.isin(np.arange(21), (0, 10))[:, None, None, None]
    save(tmp_path / "imagesTr/p1_0000.nii.gz", film(MASKS))
    save(tmp_path / "labelsTr/p1.nii.gz", traced)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": 1}}))
    store = prepare(tmp_path, size=(48, 48))
    assert store.samples["phase"].tolist() == ["ED"] * 4 + ["ES"] * 4
    assert store.samples["frame"].tolist() == [0, 1, 2, 3, 40, 41, 42, 43]
    stacks = evaluate_bright(store).stacks.set_index("phase")
    assert stacks["true_volume_ml"]["ED"] == pytest.approx(VOLUMES[0], rel=0.03)
    assert stacks["true_volume_ml"]["ES"] == pytest.approx(VOLUMES[10], rel=0.03)
    assert stacks["true_ef"]["ED"] == pytest.approx(100 * (1 - VOLUMES[10] / VOLUMES[0]), abs=1)


def evaluate_bright(store):
    from test_stacks import BrightnessPredictor as OfStores

    return evaluate(OfStores(size=(48, 48)), store, "all")


@pytest.mark.slow
def test_the_flag_is_kept_in_the_store(tmp_path, capsys):
    frames = film(MASKS[:, 2])
    image = nibabel.Nifti1Image(frames.T, np.diag([-1.5, -1.25, 1.25, 1]))
    for name, voxels in (("p1", frames), ("p1_gt", MASKS[:, 2])):
        nibabel.save(nibabel.Nifti1Image(voxels.T, image.affine), tmp_path / f"{name}.nii")
    as_slices, as_time = prepare(tmp_path), prepare(tmp_path, axis3="time")
    assert as_slices.path != as_time.path
    assert as_slices.samples["thickness"].notna().all()
    assert as_time.samples["thickness"].isna().all()
    assert as_time.manifest["axis3"] == "time"
    (tmp_path / "dataset.json").write_text('{"axis3": "time"}')
    said = prepare(tmp_path)
    assert said.samples["thickness"].isna().all()
    assert len(said) == len(as_time)
    assert main(["prepare", str(tmp_path), "--axis3", "time", "--out", str(tmp_path / "store")]) == 0
    assert main(["check", str(tmp_path), "--axis3", "time"]) == 0
    assert main(["train", "--data", str(tmp_path / "store"), "--axis3", "slices", "--out", str(tmp_path / "run")]) == 1
    assert "is a store that was made without axis3 'slices'; prepare the data again" in capsys.readouterr().err
    assert Config(axis3="time").store_options["axis3"] == "time"


def test_whole_videos_are_read_with_the_axis_of_the_store(tmp_path):
    from test_stacks import BrightnessPredictor as OfStores

    masks = np.roll([disc(radius) for radius in (10, 11, 12)], 9, axis=2)  # slices would be mirrored
    for name, voxels in (("p1", film(masks)), ("p1_gt", masks)):
        nibabel.save(nibabel.Nifti1Image(voxels.T, np.diag([1.5, -1.25, 1.25, 1])), tmp_path / f"{name}.nii")
    store = prepare(tmp_path, size=(48, 48), axis3="time")
    data = RunData(OfStores(size=(48, 48)), tmp_path, store, "time")
    videos = data.evaluate("all", whole_videos=True).videos
    assert videos["error"].tolist() == [""]
    assert videos["dice"][0] > 0.9
