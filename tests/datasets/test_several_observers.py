"""Frames that several observers traced: one tracing trains, the others are kept beside it."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from _folders import chord_lines, ellipse_chords, write_folder
from _masks import SIZE, ellipse, make_image, save_image
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import open_store, prepare
from echoseg.errors import DataError
from echoseg.geometry.contour import order_contour
from echoseg.ops import fill_polygons


def write_observers(folder, traced):
    """Write a data set of one video; `traced` are observer, frame and half the width, in the order of the table."""
    write_folder(folder, ("a",))
    lines = ["FileName,X1,Y1,X2,Y2,Frame,Observer"]
    for observer, frame, width in traced:
        lines += [f"{line},{observer}" for line in chord_lines("a", frame, ellipse_chords(radii=(width, 14.0)))]
    (folder / "VolumeTracings.csv").write_text("\n".join(lines) + "\n")
    return folder


def widths(tracings):
    found = [(tracing.observer, tracing.frame, np.ptp(tracing.coordinates[1:, [0, 2]])) for tracing in tracings]
    return [(observer, frame, round(float(width) / 2)) for observer, frame, width in found]


TRACED = [("B", 2, 6.0), ("B", 5, 9.0), ("A", 2, 7.0), ("A", 5, 8.0), ("A", 6, 5.0), ("C", 5, 10.0)]


def test_the_first_observer_of_the_table_trains(tmp_path, caplog):
    data = read_dataset(write_observers(tmp_path / "data", TRACED))
    (recording,) = data.recordings
    assert data.faults == ()
    assert widths(recording.tracings) == [("B", 2, 6), ("B", 5, 9), ("A", 6, 5)]
    assert widths(recording.others) == [("A", 2, 7), ("A", 5, 8), ("C", 5, 10)]
    expected = "2 frames are traced by several observers (B, A, C); of each, the tracing of the first one is used"
    assert data.notes == (expected,)
    caplog.set_level(logging.INFO, "echoseg")
    prepare(tmp_path / "data", tmp_path / "store", size=SIZE)
    assert expected in caplog.text


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    """The rows of two observers may alternate."""
    folder = write_observers(tmp_path / "data", TRACED)
    first = read_dataset(folder).recordings[0]
    header, *lines = (folder / "VolumeTracings.csv").read_text().splitlines()
    blocks = [lines[i : i + 10] for i in range(0, 60, 10)]
    mixed = [line for pair in zip(blocks[0], blocks[2], strict=True) for line in pair]
    mixed += [line for part in (*blocks[1:2], *blocks[3:]) for line in part]
    (folder / "VolumeTracings.csv").write_text("\n".join([header, *mixed]) + "\n")
    second = read_dataset(folder).recordings[0]
    for a, b in zip((*first.tracings, *first.others), (*second.tracings, *second.others), strict=True):
        assert (a.frame, a.observer) == (b.frame, b.observer)
        np.testing.assert_array_equal(a.coordinates, b.coordinates)


def test_an_observer_who_traced_a_frame_twice_is_a_fault(tmp_path):
    folder = write_observers(tmp_path / "data", [("A", 2, 6.0), ("A", 5, 9.0), ("B", 2, 7.0)])
    with (folder / "VolumeTracings.csv").open("a") as table:
        again = chord_lines("a", 5, ellipse_chords(centre=(27.0, 22.0)))
        table.writelines(f"{line},A\n" for line in again)
    data = read_dataset(folder)
    assert widths(data.recordings[0].tracings) == [("A", 2, 6)]
    assert widths(data.recordings[0].others) == [("B", 2, 7)]
    assert "frame 5 of a" in data.faults[0].reason


def test_a_store_keeps_the_contours_of_all_observers(tmp_path):
    folder = write_observers(tmp_path / "data", TRACED)
    store = prepare(folder, tmp_path / "store", size=(80, 96))
    assert store.samples["frame"].tolist() == [2, 5, 6]
    assert {name: list(contours) for name, contours in store.observers.items()} == {"B": [0, 1], "A": [0, 1], "C": [1]}
    for index in (0, 1):
        np.testing.assert_array_equal(store.observers["B"][index], store.contour(index))
    expected = store.crop(1).points(order_contour(ellipse_chords(radii=(8.0, 14.0))))
    np.testing.assert_allclose(store.observers["A"][1], expected, atol=1e-3)
    assert prepare(write_folder(tmp_path / "one"), tmp_path / "plain", size=SIZE).observers == {}
    assert not (tmp_path / "plain" / "observers.csv").exists()
    table = tmp_path / "store" / "observers.csv"
    table.write_text(table.read_text().replace("B,0", "B,1", 1))
    with pytest.raises(DataError, match=r"observers\.csv: damaged"):
        open_store(tmp_path / "store")


def test_a_tracing_of_another_observer_outside_the_frame_is_left_out(tmp_path):
    folder = write_observers(tmp_path / "data", TRACED[:4])
    path = folder / "VolumeTracings.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    for row in rows[21:31]:
        row[1], row[3] = (str(float(cell) + 500) for cell in (row[1], row[3]))
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    store = prepare(folder, tmp_path / "store", size=SIZE)
    assert {name: list(contours) for name, contours in store.observers.items()} == {"B": [1], "A": [1]}
    assert [fault.row for fault in store.faults] == [22]


@pytest.mark.parametrize(
    "names",
    [
        ("masks/p1_observer1.png", "masks/p1_observer2.png"),
        ("images/p1_gt_reader_a.png", "images/p1_gt_reader_b.png"),
        ("images/p1_gt.png", "images/p1_rater2_gt.png"),
    ],
)
def test_masks_of_several_observers(tmp_path, names):
    save_image(tmp_path / "data" / "images" / "p1.png", make_image(ellipse(12)))
    for name, radius in zip(names, (12, 9), strict=True):
        save_image(tmp_path / "data" / name, ellipse(radius))
    store = prepare(tmp_path / "data", tmp_path / "store", size=SIZE)
    assert len(store) == 1
    assert store.samples["video"].tolist() == ["p1"]
    masks = [fill_polygons(contours[0][None], SIZE)[0] for contours in store.observers.values()]
    np.testing.assert_array_equal(masks, [ellipse(12), ellipse(9)])
    np.testing.assert_array_equal(fill_polygons(store.contour(0)[None], SIZE)[0], ellipse(12))


def test_images_that_are_named_by_readers_are_images(tmp_path):
    for name in ("p1_reader1", "p1_reader2"):
        save_image(tmp_path / "data" / "images" / f"{name}.png", make_image(ellipse(12)))
        save_image(tmp_path / "data" / "masks" / f"{name}.png", ellipse(12))
    assert [recording.name for recording in read_dataset(tmp_path / "data").recordings] == ["p1_reader1", "p1_reader2"]
