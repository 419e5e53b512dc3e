"""A short run of `tables.py`, and tables that are hard to read or not files."""

from __future__ import annotations

import os
import shutil

import pytest

from _folders import write_folder
from echoseg.datasets.echonet import read_echonet
from echoseg.datasets.tracings import read_tracings
from echoseg.errors import DataError
from echoseg.utils.table import read_table
from stress._reference_tables import LIST, TRACINGS
from stress.tables import run


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("tables") / "data")


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "data")


@pytest.mark.slow
@pytest.mark.stress
def test_changed_tables_are_read_correctly_or_reported(tmp_path):
    outcomes, failures = run(300, 7, tmp_path / "data")
    assert failures == []
    assert min(outcomes[outcome] for outcome in ("read", "read with faults", "refused")) > 10


def test_all_invalid_cells_of_a_row_are_reported(folder):
    lines = (folder / TRACINGS).read_text().split("\n")
    lines[23], lines[25] = "b.avi,x,4,y,4,2", "b.avi,1,1e9,30,,2"
    (folder / TRACINGS).write_text("\n".join(lines))
    assert [str(fault) for fault in read_echonet(folder).faults] == [
        "VolumeTracings.csv:24:X1: 'x' is not a finite number; X2: 'y' is not a finite number",
        "VolumeTracings.csv:26:Y1: '1e9' is too large for a pixel coordinate; Y2: '' is not a finite number",
    ]


@pytest.mark.parametrize("tail", [",,junk", "," * 5000 + "junk"])
def test_text_beyond_the_last_column_is_reported(folder, tail):
    lines = (folder / TRACINGS).read_text().split("\n")
    lines[23] += tail
    lines[33] = tail
    (folder / TRACINGS).write_text("\n".join(lines))
    assert [(fault.row, fault.column) for fault in read_echonet(folder).faults] == [(24, ""), (34, "FileName")]


def test_an_invalid_row_that_rejects_two_tracings_is_one_fault(folder):
    lines = (folder / TRACINGS).read_text().split("\n")
    lines.insert(31, "?,1,2,3,4,5")
    (folder / TRACINGS).write_text("\n".join(lines))
    assert [fault.row for fault in read_echonet(folder).faults] == [32]


def test_only_unused_columns_may_appear_twice(folder):
    text = (folder / LIST).read_text()
    (folder / LIST).write_text(text.replace("FrameHeight,FrameWidth", "Note,Note").replace("NumberOfFrames", "(extra)"))
    assert len(read_echonet(folder).recordings) == 3
    (folder / LIST).write_text(text.replace("ESV", "EF"))
    with pytest.raises(DataError, match=r"FileList\.csv:1:EF: the column appears twice"):
        read_echonet(folder)


def test_a_header_with_far_too_many_columns_is_refused(tmp_path):
    (tmp_path / LIST).write_bytes(b"FileName" + b",x" * 200_000 + b"\n" + b"a\n" * 100_000)
    with pytest.raises(DataError, match=r"FileList\.csv:1: 200001 columns"):
        read_table(tmp_path / LIST, ("FileName",))


def test_many_faults_in_one_video_are_found_in_linear_time(tmp_path):
    rows = [f"a,1,1,{frame}" for _ in range(2) for frame in range(30_000)]  # all tracings are shuffled
    (tmp_path / TRACINGS).write_text("FileName,X,Y,Frame\n" + "\n".join(rows))
    traced = read_tracings(tmp_path / TRACINGS).videos
    assert len(traced["a"].faults) == 30_000


@pytest.mark.parametrize("table", [LIST, TRACINGS])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device", "missing"])
def test_a_table_that_is_not_a_regular_file_is_refused(folder, table, kind):
    path = folder / table
    path.unlink()
    make = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "missing": lambda: None,
    }
    make[kind]()
    with pytest.raises(DataError, match=rf"{table}: (missing|cannot be read|is not a regular file)"):
        read_echonet(folder)
