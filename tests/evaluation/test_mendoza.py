"""The comparison of Mendoza et al., at a tiny size."""

from __future__ import annotations

import json

import cv2
import pandas as pd
import pytest

from _folders import write_folder
from echoseg.evaluation.mendoza import DICE, IMAGES, TRAININGS, repeat_mendoza
from echoseg.report.page import write_report
from echoseg.report.results import write_evaluation
from echoseg.report.study_figures import dice_histograms_figure
from echoseg.training.config_file import load_config

pytestmark = pytest.mark.slow


def write(run, store, predictor, evaluations):
    for split, evaluation in evaluations.items():
        write_evaluation(evaluation, store, split, run)


def test_both_approaches_stand_beside_the_paper(tmp_path):
    data, out = write_folder(tmp_path / "data"), tmp_path / "out"
    small = {"width": 2, "depth": 2, "epochs": 1, "precision": "float32"}
    tables = repeat_mendoza(data, out, scale=0.001, device="cpu", write=write, **small)
    table = tables[DICE].set_index(["approach", "split"])
    assert len(table) == 2 * len(TRAININGS)
    assert table.loc[("masks", "test"), "paper"] == 0.9158
    assert table.loc[("masks", "val"), "paper"] == 0.9156
    assert table.loc[("landmarks", "test"), "paper"] == 0.9114
    # two images of one patient, and copies of two thirds of the one or two images that are trained on
    assert table.loc[("masks", "test"), "training_images"] == 2 + 3
    assert table.loc[("masks without copies", "test"), "training_images"] == 2
    means = tables[IMAGES].groupby("approach")["dice"].mean()
    for name in means.index:
        assert means[name] == pytest.approx(table.loc[(name, "test"), "dice"])
    assert len(pd.read_csv(out / "dice_by_image.csv")) == len(tables[IMAGES])
    dice_histograms_figure(tables[IMAGES], tmp_path / "dice.png")
    assert cv2.imread(str(tmp_path / "dice.png")).std() > 0
    assert {*json.loads((out / "masks" / "metrics.json").read_text())} == {"val", "test"}
    assert load_config(out / "masks" / "config.yaml").data == str(data)  # on which `echoseg evaluate` measures it
    write_report(out / "masks", tmp_path / "report.html")
    with pytest.raises(FileExistsError):
        repeat_mendoza(data, out, device="cpu")
