"""The same seed on the same machine gives the same bits; tests/stress/same_bits.py does it with whole commands."""

from __future__ import annotations

import os

import pytest
import torch

from echoseg.training import loop
from echoseg.training.config import Config
from echoseg.training.loop import train
from stress.same_bits import differences, same

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "epochs": 2}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_two_trainings_leave_the_same_files(approach, precision, disc_store, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        config = Config(approach=approach, seed=seed, device="cpu", precision=precision, **TINY)
        train(config, disc_store, tmp_path / name)
    assert differences(tmp_path / "one", tmp_path / "two") == []
    assert "model.safetensors" in differences(tmp_path / "one", tmp_path / "three")
    assert not same(tmp_path / "one/training_state.pt", tmp_path / "three/training_state.pt")


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_is_what_torch_is_told_while_it_trains(wanted, disc_store, tmp_path, monkeypatch):
    """And an operator without a deterministic version would be refused, not warned of."""
    seen, validate = [], loop.validate

    def look(*arguments):
        enabled, warns = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        seen.append((enabled, warns, torch.backends.cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG")))
        return validate(*arguments)

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(loop, "validate", look)
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    config = Config(approach="mask", device="cpu", precision="float32", deterministic=wanted, **TINY)
    train(config, disc_store, tmp_path / "run")
    assert seen == [(wanted, False, not wanted, ":4096:8" if wanted else None)] * 2
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark) == before


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_deterministic_on_a_gpu(approach, attention, disc_store, tmp_path):
    for name in ("one", "two"):
        config = Config(approach=approach, device="cuda", deterministic=True, attention=attention, **TINY)
        train(config, disc_store, tmp_path / name)
    assert differences(tmp_path / "one", tmp_path / "two") == []
