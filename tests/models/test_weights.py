"""The networks that ship with echoseg."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

import echoseg
from echoseg.cli import main
from echoseg.metrics.overlap import dice
from echoseg.models.weights import weights_folder
from echoseg.ops import fill_polygons
from echoseg.phantom import write_phantom, write_phantom_store
from echoseg.phantom.patient import Patient
from echoseg.training.config_file import load_config
from echoseg.training.task_settings import APPROACHES

SEED = 90125  # unlike that of the training


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_phantom_store(tmp_path_factory.mktemp("data") / "store", patients=8, seed=SEED)


@pytest.mark.parametrize("approach", APPROACHES)
def test_the_weights_are_small_and_name_no_folder(approach):
    folder = weights_folder(approach)
    assert (folder / "model.safetensors").stat().st_size <= 4_000_000
    kinds = {str(tensor.dtype) for tensor in load_file(folder / "model.safetensors").values()}
    assert kinds == {"torch.float16", "torch.int64"}
    config = load_config(folder / "config.yaml")
    assert (config.approach, config.data, config.init) == (approach, None, None)
    for path in folder.iterdir():
        if path.suffix != ".safetensors":
            assert "/work" not in path.read_text(encoding="utf-8")
            assert "/home" not in path.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("approach", APPROACHES)
def test_phantoms_that_were_not_trained_on_are_segmented(store, approach):
    prediction = echoseg.load(approach=approach, device="cpu")(store.frames)
    true = np.concatenate([fill_polygons(store.contour(i)[None], store.size) for i in range(len(store))])
    assert dice(prediction.masks, true).mean() > 0.92
    assert (prediction.landmarks is None) == (approach == "mask")


def test_the_weights_are_those_of_the_card():
    for approach in APPROACHES:
        folder = weights_folder(approach)
        card = (folder / "CARD.md").read_text(encoding="utf-8")
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
        assert f"foreground Dice {metrics['dice']:.3f}" in card
        assert "must not be used for decisions about patients" in card
        assert "MIT" in card


@pytest.mark.slow
def test_commands_work_without_a_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_phantom("data", videos=1, seed=SEED)
    video = next((tmp_path / "data" / "Videos").glob("*.avi"))
    for approach, name in (([], "landmarks"), (["--approach", "mask"], "masks")):
        assert main(["predict", str(video), "--out", name, "--device", "cpu", *approach]) == 0
        row = pd.read_csv(f"{name}/results.csv").iloc[0]
        assert row["ef"] == pytest.approx(Patient(SEED, 0).ef, abs=15)
        assert (tmp_path / name / video.stem / "overlay.avi").stat().st_size > 10_000
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*/*/masks.tif")}
    assert len(digests) == 2
    assert "segmented" in capsys.readouterr().out


def test_an_unknown_approach_is_refused():
    with pytest.raises(ValueError, match="unknown approach 'points'; known: landmark, mask"):
        echoseg.load(approach="points")


def test_a_run_has_its_own_approach(tmp_path, capsys):
    run = str(weights_folder("mask"))
    with pytest.raises(SystemExit) as exit:
        main(["predict", run, "x.avi", "--approach", "mask", "--out", str(tmp_path / "new")])
    assert exit.value.code == 2
    assert "is a run" in capsys.readouterr().err
