from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from echoseg.errors import DataError
from echoseg.training.config import Config, load_config

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


def test_configuration_survives_the_file(tmp_path):
    config = tiny(approach="mask", epochs=3, ordering="angle", test_fold="2")
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(tmp_path / "config.yaml", seed=5).seed == 5
    (tmp_path / "other.yaml").write_text("learning_rate: 1e-3\ndata: here\n")
    assert load_config(tmp_path / "other.yaml").learning_rate == 1e-3
    assert Path(load_config(tmp_path / "other.yaml").data).is_absolute()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: ''", "data is empty"),
        ("rotation: .inf", "at most 180"),
        ("size: [16, 16]", "2, 3, … times 16"),
        ("epochz: 3", "unknown setting 'epochz'"),
        ("epochs: three", "epochs is 'three'"),
        ("epochs: 0", "at least 1"),
        ("epochs: true", "epochs is True"),
        ("approach: both", "known: mask, landmark"),
        ("ordering: spiral", "known: chords"),
        ("learning_rate: .nan", "at most 10"),
        ("learning_rate: -1", "more than 0"),
        ("size: [112, 100]", "times 16"),
        ("size: 112", "size is 112"),
        ("compile: 1", "expected bool"),
        ("loss: mse\napproach: mask", "unknown loss 'mse' of masks; known: dice_bce"),
        ("attention: true\nskips: false", "leave out attention"),
        ("scheme: extremes", "9 landmarks: the scheme 'extremes' accepts exactly 6"),
        ("landmarks: 8\nscheme: anatomical", "accepts 3, 5, 7"),
        ("scheme: nose", "known: arc"),
        ("region: [0.5, 0, 0.5, 1]", "is empty"),
        ("region: [0, 0, 1]", "region is [0, 0, 1]"),
        ("region: [0, 0, 1, a]", "region is 'a'"),
        ("- 1", "expected lines"),
        ("a: [", ":1:5: not a YAML file"),
    ],
)
def test_bad_configuration_names_file_and_setting(tmp_path, text, words):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"my\.yaml") as error:
        load_config(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


_RETIRED = re.compile(
    r"\b(seeds?[- ]?[0-9]|(first|second|third) seed|seed paper|field|told|child|largest turn)\b"
    r"|\b(twin|mend\w*|anew)\b"  # codespell:ignore
)


@pytest.mark.parametrize("setting", dataclasses.fields(Config), ids=lambda setting: setting.name)
def test_help_is_a_plain_phrase(setting):
    text = setting.metadata["help"]
    assert re.fullmatch(r"([A-Z]|split: ).*[^.]", text)
    assert not _RETIRED.search(text.replace("Field of view", "").lower())
    assert "%" not in text  # argparse would format it
    assert ("metavar" in setting.metadata) == (setting.type != "bool" and "choices" not in setting.metadata)
