"""Runs together with the data set on which they are evaluated."""

from __future__ import annotations

import pytest

from _folders import write_folder
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.evaluation.run_data import load_run_data
from echoseg.training.checkpoint import build, save_weights
from echoseg.training.config import Config


@pytest.fixture
def data(tmp_path):
    return write_folder(tmp_path / "data")


@pytest.fixture
def run(data, tmp_path):
    config = Config(approach="mask", size=(32, 32), width=4, depth=2, device="cpu", data=str(data))
    (tmp_path / "run").mkdir()
    config.save(tmp_path / "run" / "config.yaml")
    save_weights(tmp_path / "run" / "model.safetensors", build(config)[0])
    return tmp_path / "run"


def test_default_data_set_is_that_of_the_training(run, data, tmp_path):
    own = load_run_data(run, device="cpu")
    assert (own.data, own.store.size, len(own.store)) == (data, (32, 32), 6)
    other = load_run_data(str(run), str(write_folder(tmp_path / "other", names=("x",))), device="cpu")
    assert len(other.store) == 2
    assert list(other.recordings) == ["x"]


def test_store_has_no_videos(run, data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(32, 32))
    run_data = load_run_data(run, store.path, device="cpu")
    assert run_data.recordings is None
    assert run_data.evaluate("all").summary["images"] == 6
    with pytest.raises(DataError, match="give --data the folder"):
        run_data.evaluate("all", whole_videos=True)


def test_store_of_another_size_is_rejected(run, data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(48, 48))
    with pytest.raises(DataError, match="use that size"):
        load_run_data(run, store.path, device="cpu")
