"""A run's settings against its weights: what may be edited in config.yaml, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import stat

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from echoseg.errors import DataError
from echoseg.training import checkpoint
from echoseg.training.config import EDITABLE, Config
from echoseg.training.config_file import load_config


@pytest.fixture
def run(tmp_path):
    config = Config(approach="landmark", size=(32, 32), width=2, depth=2, landmarks=5, data=str(tmp_path / "secret"))
    config.save(tmp_path / checkpoint.CONFIG)
    checkpoint.save_weights(tmp_path / checkpoint.BEST, checkpoint.build(config)[0], config)
    return tmp_path


def edit(run, **settings) -> Config:
    config = dataclasses.replace(load_config(run / checkpoint.CONFIG), **settings)
    config.save(run / checkpoint.CONFIG)
    return config


@pytest.mark.parametrize(
    ("name", "value"),
    [("decode", "argmax"), ("sigma", 3.5), ("seed", 1), ("test_fold", "p3"), ("size", (64, 32)), ("width", 512)],
)
def test_settings_that_the_weights_were_not_trained_with_are_refused(run, name, value):
    before = getattr(load_config(run / checkpoint.CONFIG), name)
    edit(run, **{name: value})
    with pytest.raises(DataError, match=rf"config\.yaml: {name} is .*, was .* when the run was trained"):
        checkpoint.load_run(run)
    edit(run, **{name: before})
    checkpoint.load_run(run)


def test_where_and_how_long_may_be_edited_and_is_reported(run):
    trained = load_config(run / checkpoint.CONFIG).values()
    config = edit(run, data=str(run / "moved"), epochs=7, device="cpu")
    checkpoint.load_run(run)
    notes = checkpoint.check_settings(run, config, trained)
    assert [line.split(": ")[1].split()[0] for line in notes] == ["data", "device", "epochs"]
    assert all(str(run / checkpoint.CONFIG) in line for line in notes)


def test_settings_of_another_version_are_as_they_are(run):
    config = load_config(run / checkpoint.CONFIG)
    assert checkpoint.check_settings(run, config, {"sigma": config.sigma, "setting of old": 3}) == []
    model = checkpoint.build(config)[0]
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, run / checkpoint.BEST, metadata={"sha256": checkpoint._hash(tensors)})  # as 0.1 wrote them
    edit(run, sigma=3.5)
    assert torch.equal(*(m.state_dict()["head.bias"] for m in (checkpoint.load_run(run)[1], model)))


def test_weights_name_no_folder_and_are_for_all_to_read(run):
    with safe_open(run / checkpoint.BEST, framework="pt") as file:
        metadata = json.loads(file.metadata()["echoseg"])
    assert metadata["settings"]["sigma"] == 2.5
    assert not metadata["settings"].keys() & EDITABLE
    assert b"secret" not in (run / checkpoint.BEST).read_bytes()
    modes = {stat.S_IMODE((run / name).stat().st_mode) for name in (checkpoint.BEST, checkpoint.CONFIG)}
    assert len(modes) == 1  # safetensors' own writer lets nobody else read
