"""`echoseg predict` on stacks, by a network of the mask approach that is not trained."""

from __future__ import annotations

import re

import nibabel
import numpy as np
import pandas as pd
import pytest
import tifffile
import torch

from _series import SHAPE, pixels, slice_name, write_series
from echoseg.cli import main
from echoseg.io.nifti import write_mask
from echoseg.io.reading import open_volume
from echoseg.training import checkpoint
from echoseg.training.config import Config


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    config = Config(approach="mask", size=(32, 32), width=4, depth=2, precision="float32")
    (tmp_path / "run").mkdir()
    config.save(tmp_path / "run" / checkpoint.CONFIG)
    checkpoint.save_weights(tmp_path / "run" / checkpoint.BEST, checkpoint.build(config)[0], config)
    return tmp_path / "run"


def predict(run, folder, out, *more) -> int:
    return main(["predict", str(run), str(folder), "--out", str(out), "--device", "cpu", *map(str, more)])


def test_dicom_series_gives_the_outputs_that_were_asked_for(run, tmp_path, capsys):
    folder, out = write_series(tmp_path / "archive" / "heart", pixels()), tmp_path / "out"
    assert predict(run, folder.parent, out, "--keep", "masks", "gif", "frames", "--thresholds", 0.4, 0.6) == 0
    assert {file.name for file in (out / "heart").iterdir()} == {
        *("mask.nii.gz", "slices.csv", "stack.json", "slices.gif", "thresholds.html", "thresholds.csv")
    }
    (row,) = pd.read_csv(out / "results.csv").to_dict("records")
    assert (row["file"], row["frames"], row["unit"]) == ("heart", 4, "ml")
    mask = nibabel.load(out / "heart" / "mask.nii.gz")
    assert mask.shape == (12, 10, 4)
    np.testing.assert_allclose(np.diag(mask.affine), [-1.5, -1.25, 8, 1])
    printed = capsys.readouterr().out
    assert "1 of 1 file " in printed
    for name in ("reading", "network", "measuring", "masks", "gif", "frames", "thresholds"):
        assert re.search(rf"\b{name} \d+\.\d", printed)


def test_mask_beside_the_folder_of_a_series_is_its_truth(run, tmp_path, capsys):
    folder = write_series(tmp_path / "archive" / "heart", pixels())
    true = np.zeros(SHAPE, np.uint8)
    true[1:3, 2:7, 3:9] = 1
    write_mask(folder.parent / "heart_gt.nii.gz", true, open_volume(folder))
    assert predict(run, folder.parent, tmp_path / "out", "--keep", "frames", "--thresholds", 0.5) == 0
    (row,) = pd.read_csv(tmp_path / "out" / "results.csv").to_dict("records")
    assert row["true_volume"] == pytest.approx(true.sum() * 1.5 * 1.25 * 8 / 1000, abs=1e-3)
    assert "volume Dice" in (tmp_path / "out" / "heart" / "thresholds.html").read_text()


@pytest.mark.slow
def test_the_pages_of_a_tiff_are_a_stack_with_its_truth(run, tmp_path):
    true = np.zeros(SHAPE, np.uint8)
    true[1:3, 2:7, 3:9] = 1
    spacing = {"axes": "ZYX", "spacing": 8, "unit": "mm"}
    facts = {"imagej": True, "resolution": (1 / 1.5, 1 / 1.25), "metadata": spacing, "photometric": "minisblack"}
    folder, out = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    tifffile.imwrite(folder / "heart.tif", pixels(), **facts)
    tifffile.imwrite(folder / "heart_gt.tiff", true * 255, photometric="minisblack", metadata=None)
    assert predict(run, folder, out) == 0
    (row,) = pd.read_csv(out / "results.csv", keep_default_na=False).to_dict("records")
    assert (row["file"], row["frames"], row["unit"], row["note"], row["error"]) == ("heart", 4, "ml", "", "")
    assert float(row["true_volume"]) == pytest.approx(true.sum() * 1.5 * 1.25 * 8 / 1000, abs=1e-3)
    found = tifffile.imread(out / "heart" / "masks.tif")
    assert found.shape == SHAPE
    table = pd.read_csv(out / "heart" / "slices.csv")
    np.testing.assert_allclose(table["area_mm2"], (found > 0).sum(axis=(1, 2)) * 1.5 * 1.25)
    assert float(row["volume"]) == pytest.approx((found > 0).sum() * 1.5 * 1.25 * 8 / 1000, abs=1e-3)


def test_series_that_is_no_stack_is_a_row_with_the_cause(run, tmp_path, capsys):
    folder = write_series(tmp_path / "archive" / "heart", pixels())
    write_series(tmp_path / "archive" / "other", pixels())
    (folder / slice_name(1)).unlink()
    assert predict(run, folder.parent, tmp_path / "out", "--keep") == 0
    assert "add missing slices" in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "out" / "results.csv", keep_default_na=False)
    assert (table["error"] != "").tolist() == [True, False]


def test_thresholds_are_probabilities(run, tmp_path, capsys):
    folder = write_series(tmp_path / "heart", pixels())
    assert predict(run, folder, tmp_path / "out", "--thresholds", 0.4, 1.5) == 1
    assert "expected numbers between 0 and 1, got 1.5" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
