"""The commands as a user types them: what they leave."""

from __future__ import annotations

import functools
import json
import re
import shutil
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pandas as pd
import pytest
import yaml

from _commands import failure, files, wrong_usage
from _folders import set_cell, write_folder, write_points_folder
from echoseg.cli import main
from echoseg.datasets.store import open_store, prepare
from echoseg.evaluation import ablation, rodriguez
from echoseg.io.reading import read_frames
from echoseg.ops import fill_polygons
from echoseg.utils.cache import cache_folder

TINY = ["--size", "32", "32", "--width", "4", "--depth", "2", "--device", "cpu", "--epochs", "1", "--batch-size", "4"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("trained")
    data, out = write_folder(place / "data"), place / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHOSEG_CACHE", str(place / "cache"))
        assert main(["train", "--approach", "landmark", "--data", str(data), "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture
def run(trained, tmp_path):
    """A run that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_train_leaves_a_complete_run(run):
    assert files(run) == {
        "calibration.json",
        "cases_test.json",
        "config.yaml",
        "environment.json",
        "figures/bland_altman_test.png",
        "figures/curves.png",
        "figures/overlay_test.png",
        "images_test.csv",
        "last.safetensors",
        "log.csv",
        "metrics.json",
        "model.safetensors",
        "plan.json",
        "shape.json",
        "subgroups_test.csv",
        "training_state.pt",
        "volumes_test.csv",
    }
    test = json.loads((run / "metrics.json").read_text())["test"]
    assert test.keys() == {
        *("images", "patients", "dice", "dice_ci95", "dice_all_pixels", "iou", "hd95_px", "assd_px"),
        *("empty_predictions", "landmark_error_px", "all_black", "data", "review", "calibration"),
        *("ef", "ef_bands", "ef_method", "seconds", "checksum", "structure"),
        *("area_similarity", "masd_px", "nsd_1px", "nsd_2px", "ci95", "median", "median_ci95"),
        *("one_empty", "both_empty", "failures", "note", "subgroups"),
    }
    assert (test["images"], test["patients"]) == (2, 1)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["size"] == [32, 32]
    assert config["approach"] == "landmark"
    assert config["scheme"] == "anatomical"  # the data have chords
    images = pd.read_csv(run / "images_test.csv")
    assert images["dice"].mean() == pytest.approx(test["dice"], abs=1e-4)


@pytest.mark.slow
def test_evaluate_adds_its_split_or_writes_elsewhere(run, data, tmp_path, capsys):
    before = json.loads((run / "metrics.json").read_text())
    assert main(["evaluate", str(run), "--split", "all"]) == 0
    after = json.loads((run / "metrics.json").read_text())
    printed = capsys.readouterr().out
    assert "all-pixel Dice" in printed
    assert "truth in the predicted interval of" in printed
    assert f"{after['all']['dice']:.4f}" in printed
    assert after["test"] == before["test"]
    assert after["all"]["images"] == 6
    held = files(run)
    assert main(["evaluate", str(run), "--data", str(data), "--split", "val", "--out", str(tmp_path / "val")]) == 0
    assert files(run) == held
    assert files(tmp_path / "val") == {
        *("metrics.json", "images_val.csv", "volumes_val.csv", "subgroups_val.csv", "cases_val.json"),
        *("figures/bland_altman_val.png", "figures/overlay_val.png"),
    }
    assert "exists already" in failure(capsys, "evaluate", run, "--out", tmp_path / "val")


@pytest.mark.slow
def test_evaluate_whole_videos_and_post_processing(run, data, tmp_path, capsys):
    def evaluate(name, *more):
        arguments = ["--split", "all", "--out", str(tmp_path / name), "--device", "cpu"]
        assert main(["evaluate", str(run), *arguments, *more]) == 0
        return capsys.readouterr().out

    printed = evaluate("videos", "--videos", "--postprocess", "reject_blank=0.01", "closing")
    assert "EF, points, whole videos" in printed
    entry = json.loads((tmp_path / "videos" / "metrics.json").read_text())["all"]
    assert entry["postprocess"] == ["reject_blank=0.01", "closing"]
    assert entry["ef_videos"]["videos"] + entry["ef_videos"]["missing"] == 3
    assert pd.read_csv(tmp_path / "videos" / "volumes_videos_all.csv")["video"].tolist() == ["a", "b", "c"]
    assert "closing=3" in evaluate("gains", "--compare-postprocess")
    steps = pd.read_csv(tmp_path / "gains" / "postprocess_all.csv")["step"].tolist()
    assert steps[0] == "none"
    assert not {step for step in steps if "threshold" in step}  # landmarks have no probability

    store = tmp_path / "store"
    assert main(["prepare", str(data), "--out", str(store), "--size", "32", "32"]) == 0
    wrong = ["evaluate", run, "--out", tmp_path / "new"]
    assert "needed for whole videos" in failure(capsys, *wrong, "--data", store, "--videos")
    assert "known: threshold" in failure(capsys, *wrong, "--postprocess", "polish")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_point_lists_do_not_tell_where_anatomical_landmarks_are(run, tmp_path, capsys):
    points = write_points_folder(tmp_path / "points")
    assert main(["evaluate", str(run), "--data", str(points), "--split", "all", "--out", str(tmp_path / "all")]) == 0
    assert "landmark_error_px" not in json.loads((tmp_path / "all" / "metrics.json").read_text())["all"]
    assert "exactly 6" in failure(capsys, "train", "--data", points, "--scheme", "extremes")


@pytest.mark.slow
def test_predict_writes_volumes_masks_areas_and_a_film(run, data, tmp_path, capsys):
    out = tmp_path / "predicted"
    arguments = ["predict", str(run), str(data / "Videos"), "--out", str(out), "--device", "cpu"]
    assert main([*arguments, "--keep", "masks", "frames", "overlay", "gif"]) == 0
    assert "3 of 3 files" in capsys.readouterr().out
    kept = ("frames.csv", "masks.tif", "overlay.avi", "overlay.gif")
    assert files(out) == {"manifest-0.jsonl", "results.csv", *(f"{name}/{file}" for name in "abc" for file in kept)}
    results = pd.read_csv(out / "results.csv")
    assert results["file"].tolist() == ["a", "b", "c"]
    assert set(results["unit"]) == {"px3"}
    table = pd.read_csv(out / "a" / "frames.csv")
    good, masks = cv2.imreadmulti(str(out / "a" / "masks.tif"), flags=cv2.IMREAD_UNCHANGED)
    assert good
    assert len(masks) == 8
    assert masks[3].shape == (40, 48)
    assert set(np.unique(masks[3])) <= {0, 255}
    assert table["area_px"][3] == (masks[3] > 0).sum()
    assert {"x0", "y6", "volume_px3", "phase"} <= set(table)
    assert (table["area_low_px"] <= table["area_px"]).all()
    assert (table["area_px"] <= table["area_high_px"]).all()
    assert set(table["review"]) <= {0, 1}
    assert len(read_frames(out / "a" / "overlay.avi")) == 8
    assert "exists already" in failure(capsys, *arguments)


@pytest.mark.slow
def test_predict_keeps_what_is_asked_for(run, data, tmp_path, capsys):
    video, bare = data / "Videos" / "a.avi", tmp_path / "bare"
    assert main(["predict", str(run), str(video), "--out", str(bare), "--no-smooth", "--keep"]) == 0
    assert files(bare) == {"manifest-0.jsonl", "results.csv"}
    images = tmp_path / "images"
    assert main(["predict", str(run), str(video), "--out", str(images), "--keep", "png", "masks"]) == 0
    masks = cv2.imreadmulti(str(images / "a" / "masks.tif"), flags=cv2.IMREAD_UNCHANGED)[1]
    assert len(files(images / "a" / "png" / "overlays")) == len(masks)
    for t, mask in enumerate(masks):
        image = cv2.imread(str(images / "a" / "png" / "masks" / f"a_frame{t:04d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(image, mask)
    pytest.importorskip("pyarrow")
    steps = ["--format", "parquet", "--postprocess", "closing"]
    assert main(["predict", str(run), str(video), "--out", str(tmp_path / "more"), "--keep", "frames", *steps]) == 0
    assert files(tmp_path / "more") == {"manifest-0.jsonl", "results.parquet", "a/frames.csv"}
    for step, said in (("smoooth", "smoooth"), ("threshold", "no mask probabilities")):
        assert said in failure(capsys, "predict", run, video, "--out", tmp_path / "new", "--postprocess", step)
    refused = failure(capsys, "predict", run, video, "--out", tmp_path / "new", "--thresholds", "0.5")
    assert "landmark runs have no mask probabilities" in refused
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_resume_takes_no_other_settings(run, capsys):
    assert main(["train", "--resume", "--out", str(run)]) == 0
    with pytest.raises(SystemExit) as stop:
        main(["train", "--resume", "--out", str(run), "--epochs", "5"])
    assert stop.value.code == 2
    with pytest.raises(SystemExit) as stop:
        main(["train", "--resume"])
    assert stop.value.code == 2


@pytest.mark.slow
def test_settings_from_a_file_and_flags_over_it(data, tmp_path):
    settings = tmp_path / "my.yaml"
    settings.write_text("approach: mask\nepochs: 7\nseed: 3\n")
    assert main(["train", "--config", str(settings), "--data", str(data), "--out", str(tmp_path / "run"), *TINY]) == 0
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert (config["approach"], config["epochs"], config["seed"]) == ("mask", 1, 3)


def test_a_preset_is_a_papers_settings_and_flags_override_it(data, tmp_path, monkeypatch):
    seen = []

    def note(config, *_, **__):
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("echoseg.api.run_training", note)
    arguments = ["--data", str(data), "--preset", "mendoza", "--approach", "mask", "--batch-size", "8"]
    assert main(["train", *arguments, "--out", str(tmp_path / "new")]) == 130
    assert (seen[0].loss, seen[0].epochs, seen[0].fixed_copies, seen[0].batch_size) == ("dice", 30, 0.6667, 8)
    assert (seen[0].size, seen[0].ordering) == ((128, 128), "nearest")


@pytest.mark.slow
def test_without_data_the_phantom_has_the_size_and_ordering_of_the_settings(tmp_path, monkeypatch):
    monkeypatch.setattr("echoseg.phantom.cached.cached_phantom.__defaults__", (3,))
    small = ["--width", "2", "--epochs", "1", "--device", "cpu"]
    assert main(["train", "--preset", "mendoza", "--approach", "mask", "--out", str(tmp_path / "run"), *small]) == 0
    assert main(["evaluate", str(tmp_path / "run"), "--split", "train"]) == 0
    (phantom,) = (cache_folder() / "phantoms").iterdir()
    assert open_store(phantom).size == (128, 128)


@pytest.mark.slow
def test_without_data_a_phantom_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr("echoseg.phantom.cached.cached_phantom.__defaults__", (3,))
    small = [*TINY[3:], "--size", "112", "112", "--precision", "float32"]
    assert main(["train", "--out", str(tmp_path / "first"), *small]) == 0
    (phantom,) = (cache_folder() / "phantoms").iterdir()
    made = phantom.stat().st_ctime_ns
    assert main(["train", "--out", str(tmp_path / "second"), *small]) == 0
    assert phantom.stat().st_ctime_ns == made
    assert main(["evaluate", str(tmp_path / "first"), "--split", "train"]) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_prepare_and_check_count_what_is_left_out(data, tmp_path, capsys):
    set_cell(data / "VolumeTracings.csv", 3, 1, "forty")
    assert main(["prepare", str(data), "--out", str(tmp_path / "store"), "--size", "32", "32"]) == 0
    printed = capsys.readouterr().out
    assert "5 frames of 3 patients" in printed
    assert "left out: 1" in printed
    assert "VolumeTracings.csv:3" in printed
    assert open_store(tmp_path / "store").size == (32, 32)
    assert main(["check", str(data), "--out", str(tmp_path / "check")]) == 0
    assert "sorted" in capsys.readouterr().out
    assert files(tmp_path / "check") == {"check.csv", "check.html", "orderings.csv", "orderings.png"}
    for command in (["check", data], ["prepare", data, "--out", tmp_path / "other"], ["train", "--data", data]):
        assert "VolumeTracings.csv:3" in failure(capsys, *command, "--strict")
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_orderings_table_says_what_sorting_costs(data, tmp_path):
    assert main(["check", str(data), "--out", str(tmp_path / "check")]) == 0
    table = pd.read_csv(tmp_path / "check" / "orderings.csv", index_col="ordering")["mean"]
    assert table["chords"] == 1
    assert table["sorted"] < 0.8 < 0.9 < table["angle"]


@pytest.mark.slow
def test_experiments_repeat_the_paper(data, tmp_path, monkeypatch, capsys):
    few = functools.partial(rodriguez.repeat_rodriguez, experiments=rodriguez.EXPERIMENTS[:1], epochs=1)
    monkeypatch.setattr(rodriguez, "repeat_rodriguez", few)
    flags = ["--scale", "0.0005", "--width", "2", "--device", "cpu"]
    assert main(["experiments", "--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"1-mask", "experiments.csv", "robustness.csv"}
    printed = capsys.readouterr().out
    assert main(["report", str(tmp_path / "out" / "1-mask")]) == 0
    for words in ("0.9946", "0.0465", "we split by patient", "speckle"):
        assert words in printed


@pytest.mark.slow
def test_experiments_repeat_mendoza_and_the_learning_curve(data, tmp_path, monkeypatch, capsys):
    from echoseg.evaluation import learning_curve, mendoza

    few = functools.partial(mendoza.repeat_mendoza, epochs=1, depth=2, size=(32, 32))
    monkeypatch.setattr(mendoza, "repeat_mendoza", few)
    flags = ["--data", str(data), "--width", "4", "--device", "cpu"]
    paper = ["experiments", "--paper", "mendoza", "--scale", "0.001", "--out", str(tmp_path / "mendoza"), *flags]
    assert main(paper) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("masks without copies", "0.9158", "0.9114"))
    assert cv2.imread(str(tmp_path / "mendoza" / "dice_histograms.png")).std() > 0
    short = functools.partial(learning_curve.learning_curve, counts=[1, 2], epochs=1, depth=2, size=(32, 32))
    monkeypatch.setattr(learning_curve, "learning_curve", short)
    curve = ["experiments", "--learning-curve", "--seeds", "1", "--out", str(tmp_path / "curve"), *flags]
    assert main(curve) == 0
    assert files(tmp_path / "curve") >= {"learning_curve.csv", "learning_curve.png"}


@pytest.mark.slow
def test_experiments_compare_landmark_settings(data, tmp_path, monkeypatch, capsys):
    changes = {"defaults": {}, "sigma 4": {"sigma": 4.0}}
    few = functools.partial(ablation.compare_landmark_settings, changes=changes, epochs=1)
    monkeypatch.setattr(ablation, "compare_landmark_settings", few)
    flags = ["--landmarks", "--seeds", "1", "--scale", "0.0005", "--width", "2", "--device", "cpu"]
    assert main(["experiments", "--data", str(data), "--out", str(tmp_path / "out"), *flags]) == 0
    assert pd.read_csv(tmp_path / "out" / "trainings.csv")["change"].tolist() == [*changes]
    printed = capsys.readouterr().out
    for words in ("defaults", "sigma 4", "catmull_rom"):
        assert words in printed


@pytest.mark.slow
@pytest.mark.parametrize("points", [False, True])
def test_ceiling_of_perfect_landmarks(data, tmp_path, capsys, points):
    if points:
        data = write_points_folder(tmp_path / "points")
    assert main(["check", str(data), "--landmarks", "--out", str(tmp_path / "check")]) == 0
    printed = capsys.readouterr().out
    assert "area error" in printed
    assert ("anatomical" in printed) == (not points)
    assert files(tmp_path / "check") >= {"landmarks.csv", "landmarks.png"}
    table = pd.read_csv(tmp_path / "check" / "landmarks.csv")
    assert table["landmarks"].min() == 3
    assert table["landmarks"].max() == 20


def test_predict_measures_stacks_and_sequences_of_volumes(run, tmp_path):
    folder, out = tmp_path / "volumes", tmp_path / "out"
    folder.mkdir()
    voxels = np.random.default_rng(0).integers(0, 255, (40, 36, 5)).astype(np.uint8)
    for name in ("heart.nii.gz", "heart_gt.nii.gz", "a_sequence.nii.gz"):
        image = nibabel.Nifti1Image(voxels, np.diag([1.5, 1.5, 8, 1]))
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / name)
    assert main(["predict", str(run), str(folder), "--out", str(out), "--keep", "masks"]) == 0
    table = pd.read_csv(out / "results.csv", index_col="file", keep_default_na=False)
    assert table.index.tolist() == ["a_sequence", "heart"]
    masks = {name: nibabel.load(out / name / "mask.nii.gz") for name in table.index}
    assert all(mask.shape == voxels.shape for mask in masks.values())
    volume = np.asarray(masks["heart"].dataobj).sum() * 1.5 * 1.5 * 8 / 1000
    assert float(table["volume"]["heart"]) == pytest.approx(volume, abs=1e-3)
    assert table["volume"]["a_sequence"] == ""
    assert set(table["unit"]) == {"ml"}


def test_bad_videos_are_rows_and_only_all_of_them_a_failure(run, data, tmp_path, capsys):
    whole = (data / "Videos" / "a.avi").read_bytes()
    starts = [found.start() for found in re.finditer(b"\xff\xd8\xff", whole)]  # of each frame's JPEG
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "broken.avi").write_bytes(whole[:300])
    (tmp_path / "in" / "cut.avi").write_bytes(whole[: starts[4] - 8])
    (tmp_path / "in" / "spoilt.avi").write_bytes(whole[: starts[1]] + bytes(200) + whole[starts[1] + 200 :])
    out, keep = tmp_path / "out", ["--keep", "--out"]
    said = failure(capsys, "predict", run, tmp_path / "in", *keep, out)
    assert "broken.avi: " in said
    assert "2 more" in said
    (tmp_path / "in" / "good.avi").write_bytes(whole)
    assert main(["predict", str(run), str(tmp_path / "in"), "--resume", *keep, str(out)]) == 0
    printed = capsys.readouterr()
    assert "1 of 4 files" in printed.out
    errors = pd.read_csv(out / "results.csv", index_col="file", keep_default_na=False)["error"]
    assert errors["good"] == ""
    assert "frame 4" in errors["cut"]
    assert "frame 1" in errors["spoilt"]
    assert "cut.avi: frame 4" in printed.err
    assert "none.avi" in failure(capsys, "predict", run, tmp_path / "none.avi", *keep, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_the_run_is_the_first_argument_wherever_flags_stand(run, data, tmp_path, capsys):
    video, flags = data / "Videos/a.avi", ["--device", "cpu", "--keep"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(["predict", str(run), "--out", str(one), *flags, "--postprocess", "closing", "--", str(video)]) == 0
    assert main(["predict", str(run), str(video), "--out", str(two), str(data / "Videos/b.avi"), *flags]) == 0
    assert [len(pd.read_csv(out / "results.csv")) for out in (one, two)] == [1, 2]
    assert wrong_usage(capsys, "predict", run, "--out", tmp_path / "three").endswith(f"after the run folder {run}")


def test_info_prints_and_draws_the_network_of_a_run(run, tmp_path, capsys):
    assert main(["info", str(run), "--figure", str(tmp_path / "network.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] == "layer"
    assert "down.0.0" in lines[2]
    assert lines[-2].startswith("total")
    assert cv2.imread(str(tmp_path / "network.png")).std() > 0
    assert "name the run folder" in wrong_usage(capsys, "info", "--figure", tmp_path / "other.png")
    assert "no run folder" in failure(capsys, "info", tmp_path)


def test_prepare_writes_images_that_are_a_data_set(data, tmp_path, capsys):
    images = tmp_path / "images"
    assert main(["prepare", str(data), "--out", str(tmp_path / "store"), "--images", str(images)]) == 0
    names = {f"{video}_frame{frame:04d}.png" for video in "abc" for frame in (2, 5)}
    assert files(images) == {f"{kind}/{name}" for kind in ("images", "masks", "overlays") for name in names}
    store, again = open_store(tmp_path / "store"), prepare(images, tmp_path / "again")
    assert sorted(again.samples["patient"]) == ["a", "a", "b", "b", "c", "c"]
    for i in range(len(store)):
        np.testing.assert_array_equal(*(fill_polygons(each.contour(i)[None], (112, 112)) for each in (store, again)))
        np.testing.assert_array_equal(store.frames[i], again.frames[i])
    assert "exists already" in failure(capsys, "prepare", data, "--images", images)


@pytest.mark.slow
@pytest.mark.parametrize("preset", [[], ["--preset", "mendoza"]])
def test_figures_show_each_step(data, tmp_path, capsys, preset):
    out = tmp_path / "figures"
    assert main(["figures", str(data), "--out", str(out), "--image", "3", *preset]) == 0
    names = ("augmentation", "bands", "heatmaps", "landmark_heatmaps", "landmarks", "orderings")
    assert files(out) == {"orderings.csv", *(f"{name}.png" for name in names)}
    assert all(cv2.imread(str(path)).std() > 0 for path in out.glob("*.png"))
    assert "exists already" in failure(capsys, "figures", data, "--out", out)
    assert "has 6 traced images" in failure(capsys, "figures", data, "--out", tmp_path / "new", "--image", "6")


@pytest.mark.slow
def test_figures_of_a_store_of_points(tmp_path):
    store = tmp_path / "store"
    data = write_points_folder(tmp_path / "points")
    assert main(["prepare", str(data), "--out", str(store), "--size", "64", "48"]) == 0
    assert main(["figures", str(store), "--out", str(tmp_path / "figures")]) == 0
    assert not {"orderings.png", "orderings.csv"} & files(tmp_path / "figures")
