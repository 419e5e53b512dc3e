"""A training that starts from the weights of another run."""

from __future__ import annotations

import shutil

import pytest
import torch

from echoseg.errors import DataError
from echoseg.training.checkpoint import BEST, CONFIG, build, save_weights
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.initial_weights import load_initial_weights
from echoseg.training.loop import train

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


def network(**settings):
    return build(tiny(**settings))[0]


@pytest.fixture
def run(tmp_path):
    config = tiny(landmarks=5)
    torch.manual_seed(1)
    (tmp_path / "before").mkdir()
    save_weights(tmp_path / "before" / BEST, build(config)[0], config)
    config.save(tmp_path / "before" / CONFIG)
    return tmp_path / "before"


def test_all_weights_are_those_of_the_run(run):
    torch.manual_seed(1)
    expected, model = network(landmarks=5), network(landmarks=5)
    load_initial_weights(model, str(run), "landmark")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, expected.state_dict()[name]), name


@pytest.mark.parametrize("settings", [{"landmarks": 7}, {"approach": "mask"}])
def test_a_head_of_another_size_starts_from_random_weights(run, settings):
    torch.manual_seed(1)
    expected, model = network(landmarks=5), network(**settings)
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load_initial_weights(model, str(run), "landmark")
    for name, tensor in model.state_dict().items():
        source = own if name.startswith("head.") else expected.state_dict()
        assert torch.equal(tensor, source[name]), name


@pytest.mark.parametrize("settings", [{"width": 8}, {"depth": 3}, {"norm": "group"}, {"network": "resunet"}])
def test_another_network_is_refused(run, settings):
    with pytest.raises(DataError, match="give width, depth, norm and network as that run"):
        load_initial_weights(network(**settings), str(run), "landmark")


def test_a_cross_validation_is_refused(tmp_path):
    config = tiny(folds=2)
    save_weights(tmp_path / BEST, build(config)[0], config)
    with pytest.raises(DataError, match=r"is a cross-validation; give the run of one fold, such as .*fold-1"):
        load_initial_weights(network(), str(tmp_path), "landmark")


def test_a_missing_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such checkpoint"):
        load_initial_weights(network(), str(tmp_path / "nowhere"), "landmark")


@pytest.mark.slow
def test_a_run_that_started_from_another_is_resumed_without_it(run, disc_store, tmp_path):
    settings = {"landmarks": 5, "learning_rate": 1e-12, "epochs": 1, "precision": "float32"}
    train(tiny(init=str(run), **settings), disc_store, tmp_path / "after")
    shutil.rmtree(run)
    config = load_config(tmp_path / "after" / CONFIG)
    assert config.init == str(run)
    train(config, disc_store, tmp_path / "after", resume=True)
