"""Which structure of a data set is read, and what it is called."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from _folders import write_folder
from _masks import ellipse, make_image, save_image, save_nifti
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import open_store, prepare
from echoseg.datasets.structure import Label, choose_label, structure_name
from echoseg.errors import DataError

HERE = Path("dataset.json")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("LA", "left atrium"),
        ("left_atrium", "left atrium"),
        ("Left atrial cavity", "left atrium"),
        ("LVC", "left ventricle"),
        ("LV blood pool", "left ventricle"),
        ("left ventricular endocardium", "left ventricle"),
        ("RV", "right ventricle"),
        ("right atrium", "right atrium"),
        ("LV myocardium", "LV myocardium"),
        ("LA_wall", "LA wall"),
        ("left ventricle epicardium", "left ventricle epicardium"),
    ],
)
def test_chambers_have_one_name(label, name):
    assert structure_name(label) == name


@given(
    labels=st.lists(
        st.sampled_from(["LV", "left ventricle", "LA", "left_atrium", "RV cavity", "wall", "Wall", "aorta"]),
        min_size=1,
        unique=True,
    ),
    data=st.data(),
)
def test_the_chosen_name_chooses_the_label_again(labels, data):
    values = {label: (number + 1,) for number, label in enumerate(labels)}
    label = data.draw(st.sampled_from(labels))
    chosen = choose_label(values, label, HERE)
    assert chosen.values == values[label]
    assert choose_label(values, chosen.structure, HERE) == chosen


def test_a_label_is_chosen_by_any_name_of_its_chamber():
    labels = {"LA": (1,), "PV": (2,)}
    for name in ("LA", "la", "left atrium", "Left_Atrium"):
        assert choose_label(labels, name, HERE) == Label("left atrium", (1,))
    assert choose_label({"heart": (4,)}, None, HERE) == Label("heart", (4,))


@pytest.mark.parametrize(
    ("labels", "structure", "message"),
    [
        (["RV", "LA"], None, r"no label is named LV or left ventricle \(RV, LA\); choose one of these by --structure"),
        (["RV", "LA"], "aorta", r"named aorta \(RV, LA\); .* of check, prepare or train .*, or rename it"),
        (["LA"], "RA", r"no label is named RA \(LA\)"),
        (["LA", "left atrium"], "left atrial cavity", r"several labels could be the left atrium \(LA, left atrium\)"),
    ],
)
def test_an_unclear_label_is_refused_with_the_names(labels, structure, message):
    with pytest.raises(DataError, match=message):
        choose_label(dict.fromkeys(labels, (1,)), structure, HERE)


def write_pairs(folder: Path) -> Path:
    for name in ("a", "b"):
        save_image(folder / f"{name}.png", make_image(ellipse(12.0)))
        save_image(folder / f"{name}_mask.png", ellipse(16.0) + 2 * ellipse(12.0))
    (folder / "dataset.json").write_text(json.dumps({"labels": {"wall": 1, "LA": 3}}))
    return folder


def test_a_store_keeps_the_structure_that_it_holds(tmp_path):
    folder = write_pairs(tmp_path / "data")
    with pytest.raises(DataError, match=r"dataset\.json: no label is named LV or left ventricle \(wall, LA\)"):
        prepare(folder)
    store = prepare(folder, tmp_path / "store", structure="left atrium")
    assert open_store(tmp_path / "store").structure == store.structure == "left atrium"
    wall = prepare(folder, structure="wall")
    assert wall.structure == "wall"
    assert not np.array_equal(wall.points, store.points)
    assert prepare(tmp_path / "store", structure="LA").structure == "left atrium"
    with pytest.raises(DataError, match="has the structure 'left atrium', but 'wall' was requested"):
        prepare(tmp_path / "store", structure="wall")


def test_data_without_names_are_named_by_the_user(tmp_path):
    folder = write_folder(tmp_path / "videos")
    assert read_dataset(folder).structure == "left ventricle"
    assert read_dataset(folder, "LA").structure == "left atrium"
    save_nifti(tmp_path / "pairs" / "a.nii.gz", make_image(ellipse(12.0)))
    save_nifti(tmp_path / "pairs" / "a_gt.nii.gz", ellipse(12.0))
    assert read_dataset(tmp_path / "pairs", "aortic_arch").structure == "aortic arch"
