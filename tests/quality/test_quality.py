from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from _faults import plant_faults, write_beating_folder
from _folders import SUNNYBROOK, set_cell, write_folder, write_points_folder
from echoseg.cli import main
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import prepare
from echoseg.quality.contours import deviations, measure_outlines
from echoseg.quality.duplicates import find_equal_pictures, find_same_files, find_same_pictures
from echoseg.quality.inspection import FAULTS, LEFT_OUT, SUSPICIOUS, check_store
from echoseg.quality.listed_volumes import phase_agreement, phase_pairs
from echoseg.quality.suspect import REASONS


@pytest.fixture(scope="module")
def beating(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beating") / "data"
    return write_beating_folder(folder)


@pytest.fixture
def planted(tmp_path):
    folder = write_beating_folder(tmp_path / "data")
    return folder, plant_faults(folder)


def look(folder):
    return check_store(prepare(folder, size=(64, 64)), read_dataset(folder).recordings)


def test_nothing_is_invented(beating):
    assert look(beating) == []


def test_every_planted_fault_is_found_once_and_none_invented(planted):
    folder, expected = planted
    findings = look(folder)
    for kind in (LEFT_OUT, SUSPICIOUS):
        mine = [found for found in findings if found.kind == kind]
        told = {(reason, name) for reason, name in expected[kind] for found in mine if found.reason == reason}
        assert told == expected[kind]
        assert len(mine) == len(expected[kind]), "\n".join(map(str, mine))
    suspects = [found for found in findings if found.kind == SUSPICIOUS]
    for found in suspects:  # each names its video or patient
        assert any(reason == found.reason and name in found.note for reason, name in expected[SUSPICIOUS]), found
    assert [list(REASONS).index(found.reason) for found in suspects] == sorted(
        list(REASONS).index(found.reason) for found in suspects
    )
    lines = (folder / "VolumeTracings.csv").read_text().split("\n")
    names = (folder / "FileList.csv").read_text().split("\n")
    for found in suspects:
        if found.images:
            line = (lines if found.file == "VolumeTracings.csv" else names)[found.row - 1]
            assert line.split(",")[0].removesuffix(".avi") in found.note


def test_the_command_tells_left_out_from_suspicious(planted, tmp_path, capsys):
    folder, expected = planted
    out = tmp_path / "check"
    assert main(["check", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"left out, not used for training: {len(expected[LEFT_OUT])}" in printed
    assert f"suspicious, but used: {len(expected[SUSPICIOUS])}" in printed
    table = pd.read_csv(out / "check.csv")
    assert list(table)[:6] == ["file", "row", "column", "kind", "reason", "value"]
    assert table["kind"].value_counts().to_dict() == {kind: len(found) for kind, found in expected.items()}
    page = (out / "check.html").read_text()
    for reason in table["reason"]:
        assert reason in page
    assert page.count("data:image/jpeg;base64,") >= len(expected[SUSPICIOUS])
    assert "http" not in page
    assert str(tmp_path) not in page
    assert main(["check", str(folder), "--strict"]) == 1


def test_suspicious_data_are_not_refused(beating, tmp_path, capsys):
    folder = write_beating_folder(tmp_path / "data", videos=10)
    set_cell(folder / "FileList.csv", 3, 1, "99")
    assert main(["check", str(folder), "--strict"]) == 0
    assert "EF disagrees" in capsys.readouterr().out


def test_a_store_is_checked_without_its_folder(beating, tmp_path, capsys):
    prepare(beating, tmp_path / "store", size=(48, 48))
    assert main(["check", str(tmp_path / "store")]) == 0
    assert "nothing is left out, nothing is suspicious" in capsys.readouterr().out


def test_names_from_the_data_are_no_markup(tmp_path):
    folder = write_folder(tmp_path / "data", names=("<b>a", "b", "c"))
    set_cell(folder / "FileList.csv", 2, 1, "99")
    assert main(["check", str(folder), "--out", str(tmp_path / "check")]) == 0
    page = (tmp_path / "check" / "check.html").read_text()
    assert "&lt;b&gt;a" in page
    assert "<b>a" not in page


def test_point_lists_are_checked(tmp_path):
    folder = write_points_folder(tmp_path / "data")
    findings = look(folder)
    assert {found.reason for found in findings} == {"blank frame", "copy across splits"}  # two equal files of grey


def test_a_video_with_fewer_frames_than_its_header_tells_of(beating, tmp_path):
    folder = write_beating_folder(tmp_path / "data", videos=10)
    for name, count in (("v07", 25), ("v08", 3)):  # a header that tells of too few says nothing of what is lost
        video = folder / f"Videos/{name}.avi"
        data = bytearray(video.read_bytes())
        data[48:52] = count.to_bytes(4, "little")  # dwTotalFrames of avih
        video.write_bytes(data)
    found = [one.note for one in look(folder) if one.reason == "video cut off"]
    assert found == ["v07.avi holds 10 frames, its header tells of 25"]


def test_a_split_column_that_training_refuses(tmp_path):
    folder = write_beating_folder(tmp_path / "data", videos=4)
    set_cell(folder / "FileList.csv", 3, 4, "HOLDOUT")
    (found,) = look(folder)
    assert found.reason == "split unusable"
    assert "holdout" in found.note


def test_phases_that_the_data_set_names(beating):
    store = prepare(beating, size=(64, 64))
    swapped = store.samples.copy()
    mine = swapped["video"] == "v07"
    swapped.loc[mine, "phase"] = swapped.loc[mine, "phase"].to_numpy()[::-1]
    (found,) = check_store(dataclasses.replace(store, samples=swapped))
    assert (found.reason, found.file) == ("ED and ES swapped", "v07")


def test_agreement_of_phases_has_the_sign_of_the_exchange(beating):
    store = prepare(beating, size=(64, 64))
    pairs = phase_pairs(store.samples)
    assert len(pairs) == 30
    right = phase_agreement(store, pairs)
    assert right.min() > 0.15
    frames = np.array(store.frames)
    ed, es = pairs.loc["v07"]
    frames[[ed, es]] = frames[[es, ed]]
    wrong = phase_agreement(dataclasses.replace(store, frames=frames), pairs)
    changed = pairs.index == "v07"
    assert wrong[changed] == pytest.approx(-right[changed])
    assert (wrong[~changed] == right[~changed]).all()
    negative = phase_agreement(dataclasses.replace(store, frames=255 - frames), pairs)  # dark walls, as in MRI
    assert negative == pytest.approx(wrong, abs=0.02)


@given(hnp.arrays(np.float64, st.integers(0, 30), elements=st.floats(-1e6, 1e6)))
def test_deviations_are_finite_and_keep_the_order(values):
    found = deviations(values, least=0.1)
    assert np.isfinite(found).all()
    assert (np.diff(found[values.argsort()]) >= 0).all()
    assert len(values) >= 8 or not found.any()


def test_deviations_are_standard_ones_of_normal_values():
    values = np.random.default_rng(0).normal(5, 3, 20_000)
    assert deviations(values) == pytest.approx((values - 5) / 3, abs=0.2)
    values[:2000] = 1e9  # wild ones do not widen the measure
    assert np.abs(deviations(values)[2000:]).max() < 6


def test_measures_of_outlines(beating):
    table = measure_outlines(prepare(beating, size=(64, 64)))
    lengths = table.groupby("video").size()
    assert (lengths == 2).all()
    assert not table["crosses"].any()
    assert table["outside"].max() < 0.05
    assert (table["lost"].abs() < 0.1).all()
    assert table["x"].between(25, 39).all()
    assert (table["border"] > 0.5).all()
    # of two outlines only one is meant, the odder one
    assert (table.groupby("video")[["other_size", "other_place"]].agg(lambda two: (two == 0).sum()) >= 1).all(axis=None)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_same_pictures_are_those_that_are_equal_or_nearly(seed, count):
    random = np.random.default_rng(seed)
    frames = random.integers(0, 256, (count, 24, 24), dtype=np.uint8)
    i, j = sorted(random.choice(count, 2, replace=False))
    frames[j] = (frames[i].astype(float) + random.normal(0, 5, (24, 24))).clip(0, 255).astype(np.uint8)
    assert list(find_same_pictures(frames, np.arange(count))) == [(i, j)]
    assert list(find_same_pictures(frames, np.zeros(count, int))) == []
    assert list(find_equal_pictures(frames, np.full(count, "v"))) == []


def test_many_copies_are_all_held_against_the_first():
    frames = np.tile(np.random.default_rng(0).integers(0, 256, (1, 24, 24), dtype=np.uint8), (5, 1, 1))
    assert list(find_same_pictures(frames, np.arange(5))) == [(0, 1), (0, 2), (0, 3), (0, 4)]
    assert list(find_equal_pictures(frames, np.array(list("ababa")))) == [(0, 2), (1, 3), (0, 4)]


def test_blank_pictures_are_not_the_same():
    blank = np.zeros((3, 16, 16), np.uint8)
    assert list(find_same_pictures(blank, np.arange(3))) == []
    assert list(find_equal_pictures(blank, np.array(["v"] * 3))) == []


def test_same_files(tmp_path):
    for name, text in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "three")):
        (tmp_path / name).write_text(text)
    (tmp_path / "e").symlink_to("nowhere")
    assert find_same_files({name: tmp_path / name for name in "abcdef"}) == [("a", "c")]


def test_every_fault_of_the_readers_has_a_reason(planted):
    folder, _ = planted
    assert "other" not in {found.reason for found in look(folder)}
    assert set(FAULTS.values()).isdisjoint(REASONS)


def test_a_video_that_no_decoder_is_let_at_is_unreadable(tmp_path):
    folder = write_folder(tmp_path / "data")
    video = folder / "Videos/b.avi"
    video.write_bytes(video.read_bytes().replace(b"MJPG", b"cvid"))
    assert {found.reason for found in look(folder) if found.kind == LEFT_OUT} == {"unreadable file"}


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="data not here")
def test_nothing_is_wrong_with_sunnybrook():
    assert check_store(prepare(SUNNYBROOK), read_dataset(SUNNYBROOK).recordings) == []
