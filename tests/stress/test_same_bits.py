"""The same seed on the same machine gives the same bits; `same_bits.py` tests this with the commands."""

from __future__ import annotations

import os

import pytest
import torch

import echoseg
from echoseg.cli import main
from echoseg.training.config import Config
from echoseg.training.loop import train
from echoseg.training.validation import Validation
from stress.same_bits import differences, equal_files

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "epochs": 2}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_two_trainings_write_the_same_files(approach, precision, disc_store, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        config = Config(approach=approach, seed=seed, device="cpu", precision=precision, **TINY)
        train(config, disc_store, tmp_path / name)
    assert differences(tmp_path / "one", tmp_path / "two") == []
    assert "model.safetensors" in differences(tmp_path / "one", tmp_path / "three")
    assert not equal_files(tmp_path / "one/training_state.pt", tmp_path / "three/training_state.pt")


@pytest.mark.slow
def test_reports_are_compared_without_the_times(disc_store, tmp_path):
    one, two, three = (tmp_path / name / "report.html" for name in ("one", "two", "three"))
    for report in (one, two):
        run = tmp_path / "run"
        echoseg.train(disc_store, approach="mask", out=run, device="cpu", **TINY | {"epochs": 1})
        assert main(["report", str(run)]) == 0
        run.rename(report.parent)
    assert equal_files(one, two)
    three.parent.mkdir()
    before, mark, times = one.read_text(encoding="utf-8").partition('<details id="times">')
    three.write_text(before + mark + times.replace("<td>", "<td>1", 3), encoding="utf-8")
    assert equal_files(one, three)
    three.write_text(before.replace("Dice", "dice", 1) + mark + times, encoding="utf-8")
    assert not equal_files(one, three)


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_algorithms_are_set_during_training_only(deterministic, disc_store, tmp_path, monkeypatch):
    """With the setting an operator without a deterministic version raises an error instead of a warning."""
    recorded, score = [], Validation.score

    def record(*arguments):
        enabled, warns = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        recorded.append((enabled, warns, torch.backends.cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG")))
        return score(*arguments)

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is restored
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(Validation, "score", record)
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    config = Config(approach="mask", device="cpu", precision="float32", deterministic=deterministic, **TINY)
    train(config, disc_store, tmp_path / "run")
    expected = (deterministic, False, False, ":4096:8" if deterministic else None)
    assert recorded == [expected] * 2
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_two_deterministic_trainings_on_a_gpu_write_the_same_files(approach, attention, disc_store, tmp_path):
    for name in ("one", "two"):
        config = Config(approach=approach, device="cuda", deterministic=True, attention=attention, **TINY)
        train(config, disc_store, tmp_path / name)
    assert differences(tmp_path / "one", tmp_path / "two") == []
