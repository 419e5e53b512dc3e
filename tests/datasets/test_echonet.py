from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _folders import (
    SUNNYBROOK,
    chord_lines,
    edit_lines,
    ellipse_chords,
    set_cell,
    write_points_folder,
)
from echoseg.datasets.echonet import read_echonet
from echoseg.errors import DataError

LIST, TRACINGS = "FileList.csv", "VolumeTracings.csv"


def traced_frames(dataset) -> dict[str, list[int]]:
    return {recording.name: [tracing.frame for tracing in recording.tracings] for recording in dataset.recordings}


ALL = {"a": [2, 5], "b": [2, 5], "c": [2, 5]}


def without(name: str, frame: int | None = None) -> dict[str, list[int]]:
    rest = {
        key: [f for f in frames if key != name or (frame is not None and f != frame)] for key, frames in ALL.items()
    }
    return {key: frames for key, frames in rest.items() if frames}


def test_a_valid_folder_is_read_completely(folder):
    dataset = read_echonet(folder)
    assert dataset.kind == "chords"
    assert dataset.faults == ()
    assert traced_frames(dataset) == ALL
    second = dataset.recordings[1]
    assert (second.name, second.patient, second.split, second.row) == ("b", "b", "VAL", 3)
    assert (second.fps, second.ef, second.esv, second.edv) == (50, 56.5, 40.25, 90)
    assert second.path.is_file()
    assert [tracing.row for tracing in second.tracings] == [22, 32]
    coordinates = second.tracings[1].coordinates
    assert coordinates.dtype == np.float32
    np.testing.assert_allclose(coordinates, ellipse_chords(radii=(10.0, 14.0)), atol=1e-4)


def test_points_without_volumes_and_split_are_read(tmp_path):
    dataset = read_echonet(write_points_folder(tmp_path / "points"))
    assert dataset.kind == "points"
    assert dataset.faults == ()
    assert traced_frames(dataset) == {"a": [2], "b": [2]}
    first = dataset.recordings[0]
    assert first.tracings[0].coordinates.shape == (12, 2)
    assert first.split == ""
    assert all(math.isnan(value) for value in (first.fps, first.ef, first.esv, first.edv))


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_sunnybrook_is_read():
    dataset = read_echonet(SUNNYBROOK)
    assert dataset.kind == "points"
    assert dataset.faults == ()
    assert [recording.split for recording in dataset.recordings] == ["0", "1", "2", "3"]
    assert [len(recording.tracings) for recording in dataset.recordings] == [18, 18, 20, 18]


VARIANTS = {
    "byte-order mark": lambda text: "\ufeff" + text,
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "cr": lambda text: text.replace("\n", "\r"),
    "spaces": lambda text: text.replace(",", " , "),
    "case": lambda text: text.replace("FileName,X1,Y1,X2,Y2,Frame", "filename,x1,y1,x2,Y2,FRAME"),
    "quotes": lambda text: text.replace("a.avi", '"a.avi"').replace("X1", '"X1"'),
    "no last newline": lambda text: text.rstrip("\n"),
    "no suffix": lambda text: text.replace(".avi,", ","),
    "integers as floats": lambda text: text.replace(",2\n", ",2.0\n"),
    "comma at the end of some lines": lambda text: text.replace(",2\n", ",2,\n"),
    "comma at the end of all lines": lambda text: text.replace("\n", ",\n"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_of_a_table_give_the_same_data(folder, variant):
    path = folder / TRACINGS
    path.write_bytes(VARIANTS[variant](path.read_text()).encode())
    dataset = read_echonet(folder)
    assert dataset.faults == ()
    assert traced_frames(dataset) == ALL


def test_suffixes_in_the_file_list_are_optional(folder):
    set_cell(folder / LIST, 3, 0, "b.avi")
    assert traced_frames(read_echonet(folder)) == ALL


def test_blank_lines_count_in_row_numbers(folder):
    edit_lines(folder / TRACINGS, lambda lines: lines.__setitem__(slice(0, 0), ["", " , ,"]))
    edit_lines(folder / TRACINGS, lambda lines: lines.__setitem__(slice(10, 10), ["", ",,,,,", "  "]))
    set_cell(folder / TRACINGS, 2 + 5 + 20, 1, "x")  # row 22 before: the first row of video b
    dataset = read_echonet(folder)
    assert [fault.row for fault in dataset.faults] == [27]
    assert traced_frames(dataset) == without("b", 2)
    assert dataset.recordings[2].tracings[0].row == 2 + 40 + 5


def drop(rows):
    def change(lines):
        del lines[rows.start - 1 : rows.stop - 1]

    return change


def move_last(start, stop):
    def change(lines):
        block = lines[start - 1 : stop - 1]
        del lines[start - 1 : stop - 1]
        lines[-1:-1] = block

    return change


def insert(row, *new):
    return lambda lines: lines.__setitem__(slice(row - 1, row - 1), list(new))


def flatten(lines):
    for i in range(21, 31):
        lines[i] = "b.avi,24,20,24,20,2"


# name: (table, change of its lines or (row, column, text), file, row and column of the fault, part of the reason, rest)
FAULTS = {
    "word": (TRACINGS, (24, 2, "abc"), TRACINGS, 24, "Y1", "'abc' is not a finite number", without("b", 2)),
    "empty cell": (TRACINGS, (24, 4, ""), TRACINGS, 24, "Y2", "'' is not a finite", without("b", 2)),
    "nan": (TRACINGS, (24, 1, "nan"), TRACINGS, 24, "X1", "not a finite", without("b", 2)),
    "infinite": (TRACINGS, (24, 1, "-inf"), TRACINGS, 24, "X1", "not a finite", without("b", 2)),
    "overflow": (TRACINGS, (24, 1, "1e999"), TRACINGS, 24, "X1", "not a finite", without("b", 2)),
    "huge": (TRACINGS, (24, 1, "3e38"), TRACINGS, 24, "X1", "too large", without("b", 2)),
    "short row": (TRACINGS, insert(24, "b.avi,2"), TRACINGS, 24, "Frame", "'' is not a frame number", without("b", 2)),
    "long row": (TRACINGS, (24, 5, "2,7"), TRACINGS, 24, "", "more cells", without("b", 2)),
    "decimal commas": (TRACINGS, (24, 1, "12,5"), TRACINGS, 24, "Frame", "", without("b", 2)),
    "frame word": (TRACINGS, (24, 5, "two"), TRACINGS, 24, "Frame", "'two' is not a frame number", without("b", 2)),
    "first frame cell": (TRACINGS, (22, 5, "2.5"), TRACINGS, 22, "Frame", "'2.5' is not", without("b", 2)),
    "last frame cell": (TRACINGS, (41, 5, "?"), TRACINGS, 41, "Frame", "'?' is not", without("b", 5)),
    "frame infinite": (TRACINGS, (41, 5, "inf"), TRACINGS, 41, "Frame", "'inf' is not", without("b", 5)),
    "negative frame": (
        TRACINGS,
        lambda lines: lines.__setitem__(slice(21, 31), [line[:-1] + "-1" for line in lines[21:31]]),
        TRACINGS,
        22,
        "Frame",
        "'-1': frame numbers start at 0",
        without("b", 2),
    ),
    "no systolic": (
        TRACINGS,
        lambda lines: lines.__setitem__(slice(21, 31), [line[:-1] + "No Systolic" for line in lines[21:31]]),
        TRACINGS,
        22,
        "Frame",
        "'No Systolic': nothing is traced",
        without("b", 2),
    ),
    "two chords": (
        TRACINGS,
        drop(range(25, 32)),
        TRACINGS,
        22,
        "",
        "has 3 rows; it needs the long axis",
        without("b", 2),
    ),
    "no area": (TRACINGS, flatten, TRACINGS, 22, "", "no area", without("b", 2)),
    "scattered": (
        TRACINGS,
        move_last(24, 26),
        TRACINGS,
        60,
        "",
        "traced twice or its rows are shuffled",
        without("b", 2),
    ),
    "no tracing": (
        TRACINGS,
        drop(range(22, 42)),
        LIST,
        3,
        "FileName",
        "has no rows in VolumeTracings.csv",
        without("b"),
    ),
    "stray": (
        TRACINGS,
        insert(2, *chord_lines("z", 1, ellipse_chords())),
        TRACINGS,
        2,
        "FileName",
        "z is not in FileList",
        ALL,
    ),
    "unlisted": (LIST, drop(range(3, 4)), TRACINGS, 22, "FileName", "b is not in FileList.csv", without("b")),
    "ef word": (LIST, (3, 1, "high"), LIST, 3, "EF", "'high' is not a number", without("b")),
    "edv infinite": (LIST, (3, 3, "inf"), LIST, 3, "EDV", "'inf' is not a number", without("b")),
    "list long row": (LIST, (3, 8, "VAL,9"), LIST, 3, "", "more cells", without("b")),
    "listed twice": (
        LIST,
        insert(5, "b,1,2,3,4,5,6,7,TRAIN"),
        LIST,
        5,
        "FileName",
        "listed twice (first in row 3)",
        ALL,
    ),
    "video missing": (
        LIST,
        insert(3, "d,1,2,3,4,5,6,7,TEST"),
        LIST,
        3,
        "FileName",
        "video Videos/d.avi is missing",
        ALL,
    ),
    "no name": (LIST, insert(3, ",1,2,3,4,5,6,7,TEST"), LIST, 3, "FileName", "'' is empty", ALL),
    "path up": (LIST, insert(3, "../secret,1,2,3,4,5,6,7,TEST"), LIST, 3, "FileName", "outside the folder", ALL),
    "absolute": (LIST, insert(3, "/etc/passwd,1,2,3,4,5,6,7,TEST"), LIST, 3, "FileName", "outside the folder", ALL),
    "backslash": (LIST, insert(3, r"..\x,1,2,3,4,5,6,7,TEST"), LIST, 3, "FileName", "outside the folder", ALL),
    "dots": (LIST, insert(3, "..,1,2,3,4,5,6,7,TEST"), LIST, 3, "FileName", "outside the folder", ALL),
    "nul": (LIST, insert(3, "a\0b,1,2,3,4,5,6,7,TEST"), LIST, 3, "FileName", "control characters", ALL),
    "tracing path": (
        TRACINGS,
        insert(2, *chord_lines("../a", 1, ellipse_chords())),
        TRACINGS,
        2,
        "FileName",
        "outside",
        ALL,
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_cannot_be_used_is_left_out_and_reported(folder, case):
    table, change, file, row, column, reason, rest = FAULTS[case]
    if callable(change):
        edit_lines(folder / table, change)
    else:
        set_cell(folder / table, *change)
    dataset = read_echonet(folder)
    (fault,) = dataset.faults
    assert (fault.file, fault.row) == (file, row)
    assert reason in fault.reason
    assert str(fault).startswith(f"{file}:{row}:{column}: " if column else f"{file}:{row}: ")
    assert traced_frames(dataset) == rest


def test_a_row_without_a_name_rejects_the_tracing_around_it(folder):
    set_cell(folder / TRACINGS, 24, 0, "")
    dataset = read_echonet(folder)
    assert {fault.row for fault in dataset.faults} == {24}
    assert traced_frames(dataset) == without("b", 2)


def test_blank_numbers_are_nan_and_not_a_fault(folder):
    for column, text in ((1, ""), (2, "NaN"), (3, "n/a"), (6, " ")):
        set_cell(folder / LIST, 3, column, text)
    dataset = read_echonet(folder)
    assert dataset.faults == ()
    second = dataset.recordings[1]
    assert all(math.isnan(value) for value in (second.ef, second.esv, second.edv, second.fps))


def test_points_beyond_the_frame_are_kept(folder):
    set_cell(folder / TRACINGS, 24, 3, "130.5")
    dataset = read_echonet(folder)
    assert dataset.faults == ()
    assert dataset.recordings[1].tracings[0].coordinates[2, 2] == 130.5


@pytest.mark.parametrize("column", ["PatientID", "Patient ID", "patient"])
def test_the_patient_column_has_several_spellings(folder, column):
    edit_lines(
        folder / LIST,
        lambda lines: lines.__setitem__(
            slice(0, 4), [f"{line},{cell}" for line, cell in zip(lines[:4], (column, "p1", "p1", ""), strict=True)]
        ),
    )
    assert [recording.patient for recording in read_echonet(folder).recordings] == ["p1", "p1", "c"]


def test_a_table_longer_than_the_parsers_buffer_is_read(folder):
    lines = [line for frame in range(1500) for line in chord_lines("a", frame, ellipse_chords())]
    lines[-1] += ",more"
    (folder / TRACINGS).write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *lines]))
    (folder / LIST).write_text("FileName\na\n")
    dataset = read_echonet(folder)
    assert traced_frames(dataset) == {"a": list(range(1499))}
    assert [fault.row for fault in dataset.faults] == [15001]
    assert dataset.recordings[0].tracings[-1].row == 14982


def test_a_video_with_another_suffix_is_found(folder):
    (folder / "Videos/b.avi").rename(folder / "Videos/b.MP4")
    dataset = read_echonet(folder)
    assert dataset.recordings[1].path.name == "b.MP4"


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12)


@settings(max_examples=60)
@given(row=st.integers(1, 62), column=st.integers(0, 5), text=cells)
def test_any_text_in_any_cell_is_read_or_reported(template, tmp_path_factory, row, column, text):
    folder = tmp_path_factory.mktemp("cells")
    (folder / "Videos").symlink_to(template / "Videos")
    shutil.copy(template / LIST, folder)
    lines = (template / TRACINGS).read_text().split("\n")
    parts = lines[row - 1].split(",")
    parts[min(column, len(parts) - 1)] = text
    lines[row - 1] = ",".join(parts)
    (folder / TRACINGS).write_text("\n".join(lines), encoding="utf-8")
    try:
        dataset = read_echonet(folder)
    except DataError as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert row == 1
        assert "VolumeTracings.csv:1" in message
        return
    # one invalid cell rejects one tracing, or two if it is at the boundary between them; values never change
    assert sum(map(len, traced_frames(dataset).values())) >= 4
    assert all(np.isfinite(t.coordinates).all() for r in dataset.recordings for t in r.tracings)


@settings(max_examples=30)
@given(
    values=st.lists(st.tuples(*[st.floats(-1000, 1000, width=32)] * 4), min_size=4, max_size=30).filter(
        lambda rows: np.ptp(np.array(rows)[1:], axis=0).min() > 1
    )
)
def test_numbers_are_read_exactly(template, tmp_path_factory, values):
    from echoseg.geometry.contour import contour_area, order_contour

    folder = tmp_path_factory.mktemp("numbers")
    (folder / "Videos").symlink_to(template / "Videos")
    (folder / LIST).write_text("FileName\na\nb\n")
    rows = ["b.avi," + ",".join(map(repr, row)) + ",0" for row in values]
    keep = chord_lines("a", 0, ellipse_chords())
    (folder / TRACINGS).write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *keep, *rows]))
    dataset = read_echonet(folder)
    expected = np.array(values, dtype=np.float32)
    if contour_area(order_contour(expected)) == 0:
        assert len(dataset.faults) == 1
    else:
        np.testing.assert_array_equal(dataset.recordings[1].tracings[0].coordinates, expected)
