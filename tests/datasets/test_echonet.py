from __future__ import annotations

import math
import re
import shutil
import unicodedata

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
    "traced twice": (
        TRACINGS,
        insert(60, *chord_lines("b", 2, ellipse_chords(centre=(26.0, 21.0)))),
        TRACINGS,
        22,
        "",
        "not exactly one row crosses the others, as the long axis does; it may be traced twice (also row 60)",
        without("b", 2),
    ),
    "no long axis": (TRACINGS, drop(range(22, 23)), TRACINGS, 22, "", "not exactly one row", without("b", 2)),
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
        "Videos/ has no video 'd'",
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


@pytest.mark.slow
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


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.tuples(*[st.floats(-1, 1, width=32)] * 4), min_size=10, max_size=10))
def test_numbers_are_read_exactly(template, tmp_path_factory, shifts):
    folder = tmp_path_factory.mktemp("numbers")
    (folder / "Videos").symlink_to(template / "Videos")
    (folder / LIST).write_text("FileName\na\n")
    expected = np.float32(ellipse_chords() + np.multiply(shifts, [1, 0.1, 1, 0.1]))
    rows = ["a.avi," + ",".join(map(repr, row)) + ",0" for row in expected.tolist()]
    (folder / TRACINGS).write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *rows]))
    dataset = read_echonet(folder)
    assert not dataset.notes
    np.testing.assert_array_equal(dataset.recordings[0].tracings[0].coordinates, expected)


def tapered_chords() -> np.ndarray:
    """Chords of a shape that is narrow at the apex, on top, and wide at the valve."""
    rows = ellipse_chords()
    width = np.linspace(0.6, 1.4, len(rows) - 1)
    rows[1:, [0, 2]] = 24 + (rows[1:, [0, 2]] - 24) * width[:, None]
    return np.float32(rows)


ROW_ORDERS = {
    "reversed": lambda rows: rows[::-1],
    "each row twice": lambda rows: np.repeat(rows, 2, axis=0),
    "the tracing twice": lambda rows: np.concatenate([rows, rows]),
    "shuffled": lambda rows: np.random.default_rng(0).permutation(rows),
    "axis last": lambda rows: np.roll(rows, -1, axis=0),
    "some chords turned": lambda rows: np.where(np.arange(len(rows))[:, None] % 3 == 1, rows[:, [2, 3, 0, 1]], rows),
    "axis turned": lambda rows: np.concatenate([rows[:1, [2, 3, 0, 1]], rows[1:]]),
}


@pytest.mark.parametrize("order", ROW_ORDERS)
@pytest.mark.parametrize("scattered", [False, True])
def test_the_order_of_a_tracings_rows_does_not_matter(folder, order, scattered):
    if scattered and order == "axis turned":
        pytest.skip("neither the axis nor the order of the chords says where the apex is")
    expected = tapered_chords()
    lines = chord_lines("b", 2, ROW_ORDERS[order](expected))
    path = folder / TRACINGS
    kept = [line for line in path.read_text().splitlines() if not line.endswith(",2") or not line.startswith("b.")]
    if scattered:
        path.write_text(
            "\n".join([*kept, *lines[3:], *chord_lines("b", 5, ellipse_chords(radii=(10.0, 14.0))), *lines[:3]])
        )
    else:
        path.write_text("\n".join([*kept, *lines]))
    dataset = read_echonet(folder)
    assert not dataset.faults
    assert traced_frames(dataset) == ALL
    coordinates = dataset.recordings[1].tracings[0].coordinates
    np.testing.assert_allclose(coordinates, expected, atol=1e-4)
    assert "brought into order" in " ".join(dataset.notes)


TABLES = {
    "semicolons": (LIST, lambda text: text.replace(",", ";")),
    "semicolons and decimal commas": (LIST, lambda text: text.replace(",", ";").replace(".", ",")),
    "tabs": (LIST, lambda text: text.replace(",", "\t")),
    "sep line": (LIST, lambda text: "sep=;\n" + text.replace(",", ";")),
    "quoted comma": (
        LIST,
        lambda text: text.replace("\n", ',"poor, off axis"\n').replace('"poor, off axis"', "Note", 1),
    ),
    "all quoted": (
        LIST,
        lambda text: "\n".join('"' + line.replace(",", '","') + '"' for line in text.split("\n")[:-1]),
    ),
    "line break in a cell": (
        LIST,
        lambda text: (
            text.replace("FileName,", "Note,FileName,")
            .replace("\na,", '\n"x\ny, z",a,')
            .replace("\nb,", "\n,b,")
            .replace("\nc,", "\n,c,")
        ),
    ),
    "unclosed quote": (LIST, lambda text: text.replace("\nb,", '\n"b,')),
    "percent": (LIST, lambda text: text.replace("56.5,", "56.5 %,").replace("40.25,90", "40.25 ml,90ml")),
    "folders": (LIST, lambda text: text.replace("\nb,", "\nVideos/b.avi,")),
    "folders of Windows": (LIST, lambda text: text.replace("\nb,", "\nVideos\\b.avi,")),
    "case": (LIST, lambda text: text.replace("\nb,", "\nB.AVI,")),
    "underscore": (LIST, lambda text: text.replace("FileName", "file_name")),
    "UTF-16": (LIST, lambda text: text.encode("utf-16")),
    "Windows-1252": (
        LIST,
        lambda text: (text.replace("\n", ",ä\n").replace(",ä", ",Arzt für Kardiologie", 1)).encode("cp1252"),
    ),
    "unknown and decimal commas": (
        LIST,
        lambda text: text.replace(",", ";").replace(".", ",").replace("55,5;", "n.a.;", 1),
    ),
    "tracings with semicolons": (
        TRACINGS,
        lambda text: text.replace(",", ";").replace(".0000", "").replace(".", ",").replace(",avi", ".avi"),
    ),
    "frames with decimal commas": (
        TRACINGS,
        lambda text: re.sub(r";(\d)$", r";\1,0", text.replace(",", ";").replace(".", ","), flags=re.M).replace(
            ",avi", ".avi"
        ),
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_as_spreadsheets_write_them(folder, case):
    table, change = TABLES[case]
    text = change((folder / table).read_text())
    (folder / table).write_bytes(text if isinstance(text, bytes) else text.encode())
    dataset = read_echonet(folder)
    assert not dataset.faults
    assert traced_frames(dataset) == (ALL if case != "case" else {"a": [2, 5], "B": [2, 5], "c": [2, 5]})
    second = dataset.recordings[1]
    assert (second.fps, second.ef, second.esv, second.edv, second.split) == (50, 56.5, 40.25, 90, "VAL")
    assert second.path.name == "b.avi"
    coordinates = second.tracings[1].coordinates
    np.testing.assert_allclose(coordinates, ellipse_chords(radii=(10.0, 14.0)), atol=1e-4)


def test_names_in_several_forms_of_unicode(folder):
    decomposed, composed = unicodedata.normalize("NFD", "Jürgen"), unicodedata.normalize("NFC", "Jürgen")
    (folder / "Videos/b.avi").rename(folder / f"Videos/{decomposed}.avi")
    for table, name in ((LIST, composed), (TRACINGS, decomposed)):
        path = folder / table
        path.write_text(path.read_text().replace("\nb", f"\n{name}"), encoding="utf-8")
    dataset = read_echonet(folder)
    assert not dataset.faults
    assert traced_frames(dataset)[composed] == [2, 5]


@pytest.mark.parametrize("suffix", [".m4v", ".mpg", ".MOV", ".dcm", ".nii.gz"])
def test_videos_of_every_type_are_found(folder, suffix):
    (folder / "Videos/b.avi").rename(folder / f"Videos/b{suffix}")
    assert read_echonet(folder).recordings[1].path.name == f"b{suffix}"


@pytest.mark.parametrize("column", ["patient_id", "subject", "Subject-ID", "PatientNumber", "MRN"])
def test_columns_that_name_the_patient(folder, column):
    edit_lines(
        folder / LIST,
        lambda lines: lines.__setitem__(
            slice(0, 4),
            [
                f"{line},{cell}"
                for line, cell in zip(lines[:4], (f"{column},Site", "p1,x", "p1,x", "p2,x"), strict=True)
            ],
        ),
    )
    dataset = read_echonet(folder)
    assert [recording.patient for recording in dataset.recordings] == ["p1", "p1", "p2"]
    assert dataset.notes == ("FileList.csv: columns that are not used: Site",)


def test_columns_of_subgroups_need_not_be_complete(folder):
    described = ("Sex,Age,Image Quality", "F,12,good", "M,unknown,", ",,poor")

    def describe(lines):
        lines[:4] = [f"{line},{cells}" for line, cells in zip(lines[:4], described, strict=True)]

    edit_lines(folder / LIST, describe)
    dataset = read_echonet(folder)
    assert not dataset.notes
    assert not dataset.faults
    found = [(recording.sex, recording.quality) for recording in dataset.recordings]
    assert found == [("F", "good"), ("M", ""), ("", "poor")]
    np.testing.assert_array_equal([recording.age for recording in dataset.recordings], [12, np.nan, np.nan])


def test_a_comma_that_may_separate_thousands_is_refused(folder):
    path = folder / LIST
    path.write_text(
        path.read_text().replace(",", ";").replace("40.25;90", '40.25;"1,090"', 1).replace("40.25;90", "40.25;90.5")
    )
    (fault,) = read_echonet(folder).faults
    assert (fault.column, fault.reason) == ("EDV", "'1,090' is not a number")


def test_fractions_are_taken_for_percentages_and_noted(folder):
    for row, value in ((2, "0.555"), (3, ""), (4, "1")):
        set_cell(folder / LIST, row, 1, value)
    dataset = read_echonet(folder)
    np.testing.assert_allclose([recording.ef for recording in dataset.recordings], [55.5, np.nan, 100])
    assert dataset.notes == ("FileList.csv: no EF is greater than 1, so they are taken for fractions, not percentages",)
    set_cell(folder / LIST, 3, 1, "56")
    assert (read_echonet(folder).recordings[0].ef, read_echonet(folder).notes) == (0.555, ())


def test_a_rate_that_no_film_has_is_not_used(folder):
    set_cell(folder / LIST, 2, 6, "0")
    set_cell(folder / LIST, 3, 6, "5000")
    dataset = read_echonet(folder)
    np.testing.assert_array_equal([recording.fps for recording in dataset.recordings], [np.nan, np.nan, 50])
    assert dataset.notes == ("FileList.csv: the FPS of 2 videos is not between 1 and 1000, and is not used",)
