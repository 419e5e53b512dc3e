"""The command that compares runs and masks of other tools."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from _commands import failure, files, wrong_usage
from echoseg.cli import main

TINY = ["--size", "32", "32", "--width", "4", "--depth", "2", "--device", "cpu", "--epochs", "1", "--batch-size", "4"]


@pytest.mark.slow
def test_compare_prints_a_table_and_leaves_files(data, tmp_path, capsys):
    run, masks, out = tmp_path / "run", tmp_path / "masks", tmp_path / "out"
    assert main(["train", "--data", str(data), "--out", str(run), *TINY]) == 0
    masks.mkdir()
    assert cv2.imwritemulti(
        str(masks / "c.tif"), [np.zeros((40, 48), np.uint8)] * 8
    )  # the only video of the test split
    capsys.readouterr()
    arguments = ["compare", str(run), "--masks", f"empty={masks}", "--device", "cpu"]
    assert main([*arguments, "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "test: 2 images of 1 patient, compared with run" in lines
    assert lines[-1] == f"written to {out}"
    assert "figures/differences.png" in files(out)
    before = files(tmp_path)
    assert "exists" in failure(capsys, *arguments, "--out", out)
    (masks / "c.tif").unlink()
    assert "no mask for 2 of 2 images (c frame 2, c frame 5)" in failure(capsys, *arguments, "--out", tmp_path / "new")
    assert files(tmp_path) == before - {"masks/c.tif"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a", "--out", "new"], "a comparison needs two methods"),
        (["--masks", "x=y", "z=w", "--out", "new"], "required: RUN"),
        (["a", "--masks", "folder", "--out", "new"], "expected NAME=FOLDER, got 'folder'"),
        (["a", "--masks", "x=y", "x=z", "--out", "new"], "a name is given twice"),
        (["a", "b"], "required: --out"),
    ],
)
def test_wrong_usage(capsys, arguments, words):
    assert words in wrong_usage(capsys, "compare", *arguments)
