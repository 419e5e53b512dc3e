"""Another structure than the left ventricle, from an empty folder to the 3-D page: no result speaks of a ventricle."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from _atria import write_atria
from echoseg.cli import main

SMALL = [
    *("--approach", "mask", "--size", "32", "32", "--width", "4", "--depth", "2", "--epochs", "12"),
    *("--test-fold", "atrium7", "--precision", "float32", "--log", "text"),
]


@pytest.mark.slow
def test_a_left_atrium_is_called_so_everywhere(tmp_path, capsys):
    data, run, out = tmp_path / "atria", tmp_path / "run", tmp_path / "out"

    def run_command(*arguments, code=0):
        assert main([str(argument) for argument in arguments]) == code
        printed = capsys.readouterr()
        return printed.out + printed.err

    text = run_command("init", data, "--layout", "nnunet", "--structure", "left atrium")
    assert json.loads((data / "dataset.json").read_text())["labels"] == {"background": 0, "left atrium": 1}
    volumes = write_atria(data)
    refusal = run_command("check", data, code=1)  # it says which name it looked for
    assert "(left atrium, pulmonary veins, appendage); choose one of these by --structure" in refusal

    structure = ("--structure", "left atrium")
    text += run_command("check", data, "--out", tmp_path / "check", *structure)
    assert f"{data}: 55 frames of 8 patients, left atrium" in text
    assert "blank slices, kept with an empty mask: 16" in text
    text += run_command("train", "--data", data, "--out", run, *structure, *SMALL)
    text += run_command("evaluate", run, "--split", "val")
    assert "1 patient, left atrium" in text.split("val: ")[-1].split("\n")[0]
    (tmp_path / "bsa.csv").write_text("patient,bsa\n" + "".join(f"{name},1.9\n" for name in volumes))
    predicted = run_command("predict", run, data, "--out", out, "--bsa", tmp_path / "bsa.csv")
    text += (
        predicted
        + run_command("report", run)
        + run_command("export", run, "--format", "huggingface", "--out", tmp_path / "hub")
    )

    table = pd.read_csv(out / "results.csv").set_index("patient")
    assert list(table.index) == sorted(volumes)  # the masks in labelsTr are no input
    assert table["true_volume"].to_dict() == pytest.approx(volumes, abs=0.001)
    assert table["true_volume_mm3"].to_dict() == pytest.approx({p: 1000 * v for p, v in volumes.items()}, abs=1)
    assert (table["volume_dice"] > 0.5).all()
    assert (table["volume_index"] - table["volume"] / 1.9).abs().max() < 0.01
    assert "volume of the left atrium" in predicted
    assert f"{volumes['atrium7']:.1f}" in predicted
    slices = pd.read_csv(out / table["file"]["atrium7"] / "slices.csv")
    assert (slices["max_probability"] >= slices["mean_probability"]).all()
    assert "Segmentation of the left atrium by masks" in (run / "report.html").read_text(encoding="utf-8")
    assert "left-atrium" in (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")

    files = [path for path in tmp_path.rglob("*") if path.suffix in {".md", ".json", ".csv", ".yaml", ".html", ".txt"}]
    names = {path.name for path in files}
    assert {"README.md", "check.html", "config.yaml", "metrics.json", "report.html", "view3d.html"} <= names
    speaking = [path for path in files if "ventric" in path.read_text(encoding="utf-8").lower()]
    assert speaking == []
    assert "ventric" not in text.lower()
