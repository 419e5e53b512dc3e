"""The check of a data set, and the comparison of its files with those that a store was made from."""

from __future__ import annotations

import os

import pytest

from _folders import set_cell, write_folder, write_points_folder
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.quality.dataset_check import check_dataset, compare_files
from echoseg.report.quality_page import write_check


@pytest.fixture
def data(tmp_path):
    return write_folder(tmp_path / "data")


def test_chords_are_compared_in_each_ordering(data):
    check = check_dataset(data)
    assert check.name == "data"
    assert len(check.store) == 6
    assert set(check.masks) == set(check.orderings["ordering"]) >= {"chords", "sorted"}
    assert all(masks.shape == (6, 112, 112) for masks in check.masks.values())
    assert check.ceiling is None


def test_a_store_and_a_list_of_points_have_no_orderings(data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(48, 48))
    store_check, points_check = check_dataset(store.path), check_dataset(write_points_folder(tmp_path / "points"))
    assert store_check.store.size == (48, 48)
    for check in (store_check, points_check):
        assert check.orderings is None
        assert not check.masks


def test_the_axis_is_that_of_the_store(data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(48, 48), axis3="slices")
    assert len(check_dataset(store.path, axis3="slices").store) == 6
    with pytest.raises(DataError, match="made without axis3 'time'"):
        check_dataset(store.path, axis3="time")


def test_findings_of_both_views_name_their_own_list(tmp_path):
    for view in ("A4C", "PSAX"):
        set_cell(write_folder(tmp_path / view) / "FileList.csv", 2, 2, "140")  # an ESV greater than the EDV
    found = check_dataset(tmp_path).findings
    places = {(finding.file, finding.row) for finding in found if finding.reason == "ESV greater than EDV"}
    assert places == {("A4C/FileList.csv", 2), ("PSAX/FileList.csv", 2)}


def test_findings_about_the_list_name_it_where_a_frame_was_corrected(data, tmp_path):
    set_cell(data / "FileList.csv", 2, 2, "140")
    table = tmp_path / "corrections/VolumeTracings.csv"
    table.parent.mkdir()
    table.write_text("\n".join((data / "VolumeTracings.csv").read_text().split("\n")[:11]) + "\n")
    store = prepare(data, tmp_path / "store", corrections=table)
    assert store.samples["file"][0] == str(table)
    (found,) = (found for found in check_dataset(store.path).findings if found.reason == "ESV greater than EDV")
    assert found.location == "FileList.csv:2"


def test_faults_are_findings_or_raise_if_strict(data):
    set_cell(data / "VolumeTracings.csv", 3, 1, "forty")
    left_out = [finding for finding in check_dataset(data).findings if finding.kind == "left out"]
    assert [(finding.file, finding.row) for finding in left_out] == [("VolumeTracings.csv", 3)]
    with pytest.raises(DataError, match=r"VolumeTracings\.csv:3"):
        check_dataset(data, strict=True)


@pytest.mark.slow
def test_write_check_writes_all_results(data, tmp_path):
    check = check_dataset(data, landmarks=True)
    write_check(check, tmp_path)
    for name in ("check.csv", "check.html", "orderings.csv", "orderings.png", "landmarks.csv", "landmarks.png"):
        assert (tmp_path / name).stat().st_size > 0
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 2  # the figures of orderings and landmarks
    assert "share below 0.95" in page
    assert "area error, %" in page


def test_files_are_compared_by_their_content(data, tmp_path):
    store = prepare(data, tmp_path / "store", size=(32, 32)).path
    assert set(compare_files(data, store).values()) == {"unchanged"}
    video = data / "Videos/a.avi"
    times = video.stat()
    video.write_bytes(video.read_bytes()[:-1] + b"x")
    os.utime(video, ns=(times.st_atime_ns, times.st_mtime_ns))
    (data / "Videos/b.avi").rename(data / "Videos/d.avi")
    states = compare_files(data, store)
    assert states.pop("Videos/a.avi") == "changed"
    assert states.pop("Videos/b.avi") == "gone"
    assert states.pop("Videos/d.avi") == "new"
    assert set(states.values()) == {"unchanged"}
    assert len(states) == 3


def test_a_store_that_was_not_made_from_files_cannot_be_compared(data, disc_store):
    with pytest.raises(DataError, match="was not made from files"):
        compare_files(data, disc_store.path)
