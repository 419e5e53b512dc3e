from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echoseg.errors import DataError
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.splits import find_boundaries, split_folds

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


def test_configuration_survives_the_file(tmp_path):
    config = tiny(approach="mask", epochs=3, ordering="angle", test_fold="2")
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(tmp_path / "config.yaml", seed=5).seed == 5
    folders = ("data", "corrections", "init", "rehearse")
    (tmp_path / "other.yaml").write_text("learning_rate: 1e-3\n" + "".join(f"{name}: here\n" for name in folders))
    other = load_config(tmp_path / "other.yaml")
    assert other.learning_rate == 1e-3
    assert {getattr(other, name) for name in folders} == {str(Path("here").resolve())}
    words = load_config(None, init="shipped", rehearse="phantom")
    assert (words.init, words.rehearse) == ("shipped", "phantom")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: ''", "data is empty"),
        ("corrections: ''", "corrections is empty"),
        ("init: ''", "init is empty"),
        ("rehearse: ''", "rehearse is empty"),
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
        ("split_shares: [0.8, 0, 0.2]", "set validation to none"),
        ("split_shares: [0.8, 0.2, 0]", "training and test need images"),
        ("split_shares: [0.8, 0.2, 0.2]", "add up to 1.2"),
        ("split_shares: [0.8, 0.1]", "split_shares is [0.8, 0.1]"),
        ("split_counts: [2400, 0.5, 200]", "split_counts is 0.5"),
        ("split_counts: [10, 5, 5]\nsplit_shares: [0.8, 0.1, 0.1]", "leave one of them out"),
        ("split_counts: [10, 5, 5]\ntest_fold: 1", "split_counts and test_fold are both given"),
        ("split_by: image\nsplit_shares: [0.8, 0.1, 0.1]", "use it with the preset of a paper"),
        ("split_by: image\npreset: rodriguez", "needs split_shares or split_counts"),
        ("preset: nobody", "unknown preset 'nobody'; known: rodriguez"),
    ],
)
def test_bad_configuration_names_file_and_setting(tmp_path, text, words):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"my\.yaml") as error:
        load_config(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_preset_replaces_the_defaults_of_its_approach(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("preset: rodriguez\napproach: mask\nlearning_rate: 0.5\n")
    config = load_config(path)
    assert (config.preset, config.loss, config.batch_size, config.learning_rate) == ("rodriguez", "bce", 64, 0.5)
    config.save(path)
    assert load_config(path) == config
    assert load_config(path, preset="rodriguez").learning_rate == 1e-4  # flags override the file
    assert load_config(path, preset="rodriguez", learning_rate=0.1).learning_rate == 0.1
    assert load_config(None, preset="rodriguez").loss == "channel_ce"
    path.write_text("approach: mask\n")
    assert load_config(path, preset="rodriguez").loss == "bce"


def test_boundaries_of_other_splits_are_not_taken_over(tmp_path):
    config = tiny(split_shares=[0.8, 0.1, 0.1], split_boundaries=[0.1, 0.2, 1])
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml", seed=3).split_boundaries == (0.1, 0.2, 1)
    for change in ({"split_shares": [0.6, 0.2, 0.2]}, {"data": "other"}):
        assert load_config(tmp_path / "config.yaml", **change).split_boundaries is None
    for change in ({"validation": "none"}, {"validation": "last"}, {"preset": "mendoza"}):
        assert load_config(tmp_path / "config.yaml", **change).split_boundaries == (0.1, 0.2, 1)
    tiny(validation="none", split_boundaries=[0.1, 0.1, 1]).save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml", validation="none").split_boundaries == (0.1, 0.1, 1)
    for change in ({"validation": "last"}, {"validation": None}, {"preset": "mendoza"}):
        assert load_config(tmp_path / "config.yaml", **change).split_boundaries is None


@pytest.mark.parametrize("before", ["none", "split"])
@pytest.mark.parametrize("change", [{"validation": "none"}, {"validation": "last"}, {"preset": "mendoza"}])
def test_another_validation_keeps_the_test_patients_of_a_fold(tmp_path, before, change):
    names = [f"p{i}" for i in range(40)]
    samples = pd.DataFrame({"patient": names, "split": "", "blank": 0})
    for config in split_folds(tiny(folds=4, validation=before), samples):
        config.save(tmp_path / "config.yaml")
        changed = load_config(tmp_path / "config.yaml", **change)
        planned = dataclasses.replace(changed, split_boundaries=find_boundaries(changed, samples))
        before_that, splits = config.splits(samples), planned.splits(samples)
        np.testing.assert_array_equal(splits == "test", before_that == "test")
        assert (splits == "val").sum() == (0 if changed.validation == "none" else 4)  # 15 % of the 30 others
        np.testing.assert_array_equal(planned.splits(samples[:7]), splits[:7])


def test_splits_by_shares_and_by_image():
    count = 200
    samples = pd.DataFrame(
        {
            "video": [f"v{i // 2}" for i in range(count)],
            "frame": [i % 2 for i in range(count)],
            "patient": [f"p{i // 2}" for i in range(count)],
            "split": "TRAIN",
            "blank": 0,
        }
    )

    def splits(**settings):
        found = load_config(None, preset="rodriguez", **settings).splits(samples)
        return found, {name: set(samples["patient"][found == name]) for name in ("train", "test")}

    by_patient, patients = splits(split_shares=[0.8, 0.1, 0.1])
    assert [(by_patient == name).sum() for name in ("train", "val", "test")] == [160, 20, 20]
    assert not patients["train"] & patients["test"]
    by_image, patients = splits(split_shares=[0.8, 0.1, 0.1], split_by="image")
    assert [(by_image == name).sum() for name in ("train", "val", "test")] == [160, 20, 20]
    assert len(patients["train"] & patients["test"]) > 5
    joined, _ = splits(split_shares=[0.7, 0.1, 0.2], validation="none", images=50)
    assert [(joined == name).sum() for name in ("train", "val", "test", "unused")] == [50, 0, 40, 110]


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
