from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from echoseg.api import evaluate, train
from echoseg.cli import main
from echoseg.datasets.store import prepare
from echoseg.training import loop
from echoseg.training.config_file import load_config

TINY = {"approach": "mask", "epochs": 1, "width": 4, "depth": 2, "size": (16, 16), "device": "cpu"}
FLAGS = ["--approach", "mask", "--epochs", "1", "--width", "4", "--depth", "2", "--size", "16", "16", "--device", "cpu"]


def write_nnunet(folder, count, *, with_test=False):
    for name in ("imagesTr", "labelsTr", *(["imagesTs"] if with_test else [])):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        for phase, radius in (("ED", 12), ("ES", 9)):
            mask = (np.hypot(*np.mgrid[-20:20, -24:24]) < radius + i % 2).astype(np.uint8)
            Image.fromarray(np.where(mask, 30, 120).astype(np.uint8)).save(
                folder / f"imagesTr/heart{i:02d}_{phase}_0000.png"
            )
            Image.fromarray(mask).save(folder / f"labelsTr/heart{i:02d}_{phase}.png")
    if with_test:
        Image.fromarray(np.full((40, 48), 90, np.uint8)).save(folder / "imagesTs/heart99_0000.png")
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LV": 1}}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("with_test", [False, True])
@pytest.mark.parametrize("count", [3, 4, 5, 8])
def test_a_few_patients_are_trained_and_measured_on(tmp_path, count, with_test):
    data = write_nnunet(tmp_path / "data", count, with_test=with_test)
    run = train(data, out=tmp_path / "run", **TINY)
    assert run.metrics["test"]["images"] == 2 * run.metrics["test"]["patients"] >= 2
    assert run.config.split_boundaries is not None


@pytest.mark.slow
@pytest.mark.parametrize("with_test", [False, True])
def test_two_patients_are_trained_on_without_validation(tmp_path, capsys, with_test):
    data = write_nnunet(tmp_path / "data", 2, with_test=with_test)
    command = ["train", "--data", str(data), "--out", str(tmp_path / "run"), *FLAGS]
    assert main([*command, "--validation", "split"]) == 1
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("echoseg: ")]
    assert error.startswith(f"echoseg: {data}: no image in split")
    assert "2 patients with a contour (heart00, heart01)" in error
    assert "--validation none" in error
    assert "stores" not in error  # no path in the cache
    assert main(command) == 0
    assert "plan: validation none (2 patients, too few to hold some back" in capsys.readouterr().out
    assert main([*command[:4], str(tmp_path / "other"), *FLAGS, "--test-fold", "heart00"]) == 0
    for run in ("run", "other"):
        assert json.loads((tmp_path / run / "metrics.json").read_text())["test"]["patients"] == 1


def test_one_patient_is_refused_with_the_cure(tmp_path, capsys):
    data = write_nnunet(tmp_path / "data", 1)
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *FLAGS]) == 1
    error = capsys.readouterr().err
    assert "all its images are of one patient (heart00), and a test needs another" in error
    assert "--test-fold none" in error


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_all_patients_train_and_nothing_is_tested(tmp_path, capsys, count):
    data, run = write_nnunet(tmp_path / "data", count), tmp_path / "run"
    command = ["train", "--data", str(data), "--out", str(run), *FLAGS]
    assert main([*command, "--test-fold", "none", "--validation", "none"]) == 0
    printed = capsys.readouterr().out
    assert f"training {count} ({2 * count} images)" in printed
    assert "nothing was tested: the network was trained on all patients" in printed
    assert f"echoseg evaluate {run} --data FOLDER --split all" in printed
    assert json.loads((run / "metrics.json").read_text()) == {}
    assert main(["evaluate", str(run)]) == 1
    assert "measure it on other data by --data FOLDER --split all" in capsys.readouterr().err
    other = write_nnunet(tmp_path / "other", 2)
    assert evaluate(run, other, "all", device="cpu")["patients"] == 2
    assert main(["report", str(run)]) == 0


@pytest.mark.slow
def test_a_subset_tests_on_no_training_patient(tmp_path):
    data = write_nnunet(tmp_path / "data", 5)
    run = train(data, out=tmp_path / "run", validation="split", **TINY)
    samples = prepare(data, **run.config.store_options).samples
    splits = dict(zip(samples["patient"], run.config.splits(samples), strict=True))
    assert set(splits.values()) == {"train", "val", "test"}
    for patient, split in splits.items():
        assert set(run.config.splits(samples[samples["patient"] == patient])) == {split}
    assert load_config(tmp_path / "run/config.yaml", data="other").split_boundaries is None
    assert evaluate(run, data, "val", device="cpu")["patients"] == list(splits.values()).count("val")


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--data", "nothing", "--out", "new"],
        ["train", "--data", "data", "--corrections", "nothing", "--out", "new"],
        ["train", "--data", "data", "--corrections", "data", "--out", "new"],
        ["train", "--config", "nothing", "--out", "new"],
        ["train", "--resume", "--out", "nothing"],
        ["evaluate", "nothing"],
        ["evaluate", "run", "--data", "nothing"],
        ["predict", "run", "nothing", "--out", "new"],
        ["predict", "run", "data", "nothing", "--out", "new"],
        ["predict", "run", "data", "--truth", "nothing", "--out", "new"],
        ["predict", "run", "data", "--bsa", "nothing.csv", "--out", "new"],
        ["review", "run", "nothing", "--no-browser"],
        ["review", "run", "data", "--data", "nothing", "--no-browser"],
        ["effort", "nothing"],
        ["effort", "run", "--data", "nothing"],
        ["report", "nothing"],
        ["info", "nothing"],
        ["export", "nothing", "--format", "onnx", "--out", "new"],
        ["check", "nothing"],
        ["check", "data", "--store", "nothing"],
        ["prepare", "nothing"],
        ["figures", "nothing", "--out", "new"],
    ],
)
def test_a_path_that_is_not_there_is_refused_before_work(tiny_run, monkeypatch, capsys, command):
    monkeypatch.chdir(tiny_run)
    assert main(command) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("echoseg: ")]
    assert len(errors) == 1
    assert "nothing" in errors[0] or "data/VolumeTracings.csv: missing" in errors[0]
    assert not (tiny_run / "new").exists()
    assert not (tiny_run / "nothing").exists()


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("few")
    config = load_config(None, data=str(write_nnunet(folder / "data", 3)), **TINY)
    loop.train(config, prepare(folder / "data", **config.store_options), folder / "run")
    return folder
