"""The repetition of the tables of Craciun, and its preset on the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from echoseg.cli import main
from echoseg.evaluation.craciun import COMBINATIONS, LADDER, TABLES, TRAININGS, VOLUMES, Combination, repeat_craciun
from echoseg.inference.postprocess import CRACIUN, parse_step
from echoseg.phantom.stacks import write_phantom_stacks
from echoseg.training.config_file import load_config

TINY = {"size": (48, 48), "width": 2, "depth": 2, "precision": "float32", "device": "cpu"}


def test_tables_of_the_thesis():
    averages = {"5.1": 0.68, "5.2": 0.849}  # as the thesis computes them
    for table, average in averages.items():
        dice = [value for combination in COMBINATIONS if combination.table == table for value in combination.dice]
        assert np.mean(dice) == pytest.approx(average, abs=0.002)
    for combination in COMBINATIONS:
        assert len(combination.seconds) == len(combination.dice)
    assert [parse_step(step)[1] * 255 for step in (CRACIUN[0], CRACIUN[2])] == pytest.approx([77, 4.5], rel=1e-3)


@pytest.mark.slow
def test_repetition_at_a_small_scale(tmp_path):
    write_phantom_stacks(tmp_path / "data", patients=4)
    written = []
    combinations = [Combination("5.1", 5, 1, (9.0, 11.0), (0.5, 0.7)), Combination("5.2", 3, 1, (5.0,), (0.8,))]
    tables = repeat_craciun(
        tmp_path / "data",
        tmp_path / "out",
        scale=0.2,
        combinations=combinations,
        write=lambda run, store, predictor, evaluations: written.append((run.name, list(evaluations))),
        **TINY,
    )
    assert list(tables) == [TABLES, TRAININGS, LADDER, VOLUMES]
    summary = tables[TABLES]
    assert summary["trainings"].tolist() == summary["paper_trainings"].tolist() == [2, 1]
    assert summary["paper_dice"].tolist() == pytest.approx([0.6, 0.8])
    assert summary["paper_seconds"].tolist() == [10, 5]
    assert summary["dice"].between(0, 1).all()
    assert tables[TRAININGS]["steps"].str.split().map(len).tolist() == [1, 1, 3]
    assert list(tables[LADDER]["step"]) == ["output", *tables[TRAININGS]["steps"].iloc[2].split()]
    assert tables[LADDER]["dice"].iloc[-1] == pytest.approx(tables[TRAININGS]["dice"].iloc[2])
    assert tables[VOLUMES]["true_volume_ml"].gt(0).all()
    assert written == [(name, ["test"]) for name in tables[TRAININGS]["run"]]
    assert len(pd.read_csv(tmp_path / "out" / "trainings.csv")) == 3
    with pytest.raises(FileExistsError):
        repeat_craciun(None, tmp_path / "out")


def test_preset_of_masks_only(tmp_path, capsys):
    assert main(["train", "--preset", "craciun", "--approach", "landmark", "--out", str(tmp_path / "run")]) == 1
    assert "preset craciun has no settings for the approach landmark; it is for mask" in capsys.readouterr().err
    assert load_config(None, preset="craciun").approach == "mask"


def test_ladder_belongs_to_the_comparison(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "run", "--ladder"])
    assert stopped.value.code == 2
    assert "--compare-postprocess" in capsys.readouterr().err
