"""The examples run, at a tiny size."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import cv2
import pytest

import foreign_loop
import foreign_network
import landmark
import mask

pytestmark = pytest.mark.slow

TINY = {"videos": 3, "size": (32, 32), "width": 4, "depth": 2, "epochs": 1, "device": "cpu", "precision": "float32"}


@pytest.mark.parametrize("example", [mask, landmark], ids=lambda example: example.__name__)
def test_examples_leave_a_run_and_a_picture(example, tmp_path, capsys):
    out = tmp_path / "example"
    example.main(out, **TINY)
    assert {path.name for path in out.iterdir()} == {"data", "run", f"{example.__name__}.png"}
    assert cv2.imread(str(out / f"{example.__name__}.png")).std() > 0
    assert "Dice" in capsys.readouterr().out


def test_the_kernels_serve_a_foreign_loop(capsys):
    history = foreign_loop.main(images=64, epochs=5)
    assert history[-1][0] < history[0][0] / 2  # the loss
    assert history[-1][1] > 0.8  # the Dice
    assert len(capsys.readouterr().out.splitlines()) == 5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MONAI's own
def test_a_foreign_network_trains(tmp_path, capsys):
    pytest.importorskip("monai")
    settings = {"videos": 16, "size": (64, 64), "epochs": 4, "device": "cpu", "precision": "float32"}
    foreign_network.main(tmp_path / "example", **settings)
    printed = capsys.readouterr().out
    losses = [float(loss) for loss in re.findall(r"loss (\d+\.\d+)", printed)]
    assert len(losses) == 4
    assert losses[-1] < 0.95 * losses[0]
    assert "Dice of the test split" in printed


def test_without_monai_the_foreign_network_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "monai", None)
    foreign_network.main(tmp_path / "example")
    assert "pip install monai" in capsys.readouterr().out
    assert not (tmp_path / "example").exists()


def test_the_notebook_runs_from_its_first_cell_to_its_last(tmp_path, monkeypatch, capsys):
    notebook = json.loads((Path(landmark.__file__).parent / "whole_path.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook["cells"])
    monkeypatch.chdir(tmp_path)
    names = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"cell {number}", "exec"), names)
        if number == 0:
            names |= {"VIDEOS": 4, "WIDTH": 4, "EPOCHS": 1}
    assert 0 <= names["run"].metrics["test"]["dice"] <= 1
    assert {path.name for path in (tmp_path / "whole-path").iterdir()} == {
        "data", "check", "targets", "run", "predicted", "network.png", "report.html",
    }  # fmt: skip
    assert "EF" in capsys.readouterr().out
