"""The examples run, at a tiny size."""

from __future__ import annotations

import cv2
import pytest

import landmark
import mask

TINY = {"videos": 3, "size": (32, 32), "width": 4, "depth": 2, "epochs": 1, "device": "cpu", "precision": "float32"}


@pytest.mark.parametrize("example", [mask, landmark], ids=lambda example: example.__name__)
def test_examples_leave_a_run_and_a_picture(example, tmp_path, capsys):
    out = tmp_path / "example"
    example.main(out, **TINY)
    assert {path.name for path in out.iterdir()} == {"data", "run", f"{example.__name__}.png"}
    assert cv2.imread(str(out / f"{example.__name__}.png")).std() > 0
    assert "Dice" in capsys.readouterr().out
