from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from _folders import (
    SIZE,
    SUNNYBROOK,
    chord_lines,
    ellipse_chords,
    grey_of,
    set_cell,
    write_folder,
    write_points_folder,
    write_video,
)
from echoseg.cli import main
from echoseg.datasets import store as module
from echoseg.datasets.samples import decode_dataset
from echoseg.datasets.source_files import changed_files
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.utils.cache import cache_folder

TRACINGS = "VolumeTracings.csv"


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_prepare_stores_the_traced_frames_with_contours_and_metadata(folder, tmp_path):
    store = prepare(folder, tmp_path / "s", size=SIZE)
    assert len(store) == 6
    assert list(store.samples["video"]) == ["a", "a", "b", "b", "c", "c"]
    assert list(store.samples["frame"]) == [2, 5] * 3
    assert list(store.samples["phase"]) == ["ES", "ED"] * 3
    assert list(store.samples["split"]) == ["TRAIN"] * 2 + ["VAL"] * 2 + ["TEST"] * 2
    assert list(store.samples["row"]) == [2, 12, 22, 32, 42, 52]
    assert set(store.samples["height"]) == {SIZE[0]}
    assert set(store.samples["width"]) == {SIZE[1]}
    assert store.samples["ef"][2] == 56.5
    assert [
        abs(int(frame.mean()) - grey_of(number)) <= 1 for frame, number in zip(store.frames, [2, 5] * 3, strict=True)
    ]
    np.testing.assert_allclose(store.contour(0)[:9, 0], ellipse_chords(radii=(6.0, 14.0))[1:, 0], atol=1e-4)
    assert store.manifest["ordering"] == "chords"
    assert store.manifest["patients"] == 3


def test_the_ordering_can_be_chosen_and_is_checked(tmp_path):
    folder = write_points_folder(tmp_path / "points")
    given = prepare(folder)
    assert given.manifest["ordering"] == "given"
    hull = prepare(folder, ordering="hull")
    assert hull.path != given.path
    assert contour_area(hull.contour(0)) == pytest.approx(contour_area(given.contour(0)))
    with pytest.raises(DataError, match="use 'given'"):
        prepare(folder, ordering="chords")
    with pytest.raises(ValueError, match="use one of chords, angle"):
        prepare(folder, ordering="spiral")
    with pytest.raises(ValueError, match="size"):
        prepare(folder, size=(0, 112))
    with pytest.raises(ValueError, match="fov_mm"):
        prepare(folder, fov_mm=0.0)


def test_an_existing_folder_is_not_changed(tmp_path, folder):
    (tmp_path / "s").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        prepare(folder, tmp_path / "s")
    assert names(tmp_path / "s") == []


def test_strict_refuses_faults_of_the_videos(folder, tmp_path):
    write_video(folder / "Videos/b.avi", frames=4)
    store = prepare(folder)
    assert len(store) == 5
    (fault,) = store.manifest["faults"]
    assert (fault["file"], fault["row"]) == (TRACINGS, 32)
    message = r"VolumeTracings\.csv:32:Frame: frame 5 of b is beyond the video's 4 frames \(fault 1 of 1\)"
    for source, out in ((folder, None), (folder, tmp_path / "out"), (store.path, None)):
        with pytest.raises(DataError, match=message):
            prepare(source, out, strict=True)
    assert names(tmp_path) == ["data"]
    assert names(cache_folder() / "stores") == [store.path.name]


def test_faults_of_the_tables_are_stored_and_strict_refuses_them_before_decoding(folder, monkeypatch):
    set_cell(folder / TRACINGS, 24, 3, "?")
    assert [fault["row"] for fault in prepare(folder).manifest["faults"]] == [24]
    monkeypatch.setattr(module, "decode_dataset", None)
    with pytest.raises(DataError, match=r"VolumeTracings\.csv:24:X2: '\?' is.* \(fault 1 of 1\)"):
        prepare(folder, folder.parent / "out", strict=True)


@pytest.mark.parametrize(
    ("missing", "message"), [(".", "no such folder"), (TRACINGS, "missing"), ("Videos", "no such folder")]
)
@pytest.mark.parametrize("out", [None, "s"])
def test_a_missing_file_is_named(folder, tmp_path, missing, message, out):
    shutil.rmtree(folder / missing) if (folder / missing).is_dir() else (folder / missing).unlink()
    with pytest.raises(DataError, match=f"{(folder / missing).name}: {message}"):
        prepare(folder, out and tmp_path / out)
    assert names(tmp_path) == (["data"] if folder.exists() else [])


def test_without_a_usable_video_no_store_is_written(folder, tmp_path):
    for name in "abc":
        (folder / "Videos" / f"{name}.avi").write_bytes(b"")
    with pytest.raises(DataError, match=r"contains nothing usable; Videos/a\.avi: is empty.* \(fault 1 of 3\)"):
        prepare(folder, tmp_path / "s")
    assert names(tmp_path) == ["data"]


def test_the_cache_is_used_until_something_changes(folder, monkeypatch):
    first = prepare(folder)
    assert first.path.parent == cache_folder() / "stores"
    original = module.decode_dataset
    monkeypatch.setattr(module, "decode_dataset", None)  # decoding would fail
    assert prepare(folder).path == first.path
    monkeypatch.setattr(module, "decode_dataset", original)
    assert prepare(folder, size=(64, 64)).path != first.path
    os.utime(folder / "Videos/a.avi", ns=(1, 1))
    second = prepare(folder)
    assert second.path != first.path
    set_cell(folder / "FileList.csv", 2, 1, "10")
    third = prepare(folder)
    assert third.path not in (first.path, second.path)
    assert third.samples["ef"][0] == 10


def test_a_data_set_that_was_moved_has_its_new_folder(folder, tmp_path):
    first = prepare(folder)
    folder.rename(tmp_path / "moved")
    store = prepare(tmp_path / "moved")
    assert store.path == first.path
    assert store.source == Path(store.manifest["understood"]["folder"]) == (tmp_path / "moved").resolve()


def test_a_damaged_store_in_the_cache_is_replaced(folder):
    path = prepare(folder).path
    os.truncate(path / "frames.npy", 200)
    assert len(prepare(folder)) == 6


def test_a_store_is_opened_and_its_options_are_checked(folder, tmp_path):
    path = prepare(folder, tmp_path / "s").path
    assert prepare(path).path == path
    assert prepare(path, ordering="chords").path == path
    for arguments, message in (
        ({"size": (64, 64)}, r"has frames of size \(112, 112\), but \(64, 64\) was requested"),
        ({"ordering": "hull"}, "has the ordering 'chords', but 'hull' was requested"),
        ({"out": tmp_path / "t"}, "is already a store"),
    ):
        with pytest.raises(DataError, match=message):
            prepare(path, **arguments)


def test_concurrent_calls_share_one_store(folder, monkeypatch):
    original, barrier = module.read_dataset, threading.Barrier(4)

    def read_simultaneously(*arguments):
        barrier.wait(timeout=60)
        return original(*arguments)

    monkeypatch.setattr(module, "read_dataset", read_simultaneously)
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: prepare(folder), range(4)))
    assert len({store.path for store in stores}) == 1
    assert [len(store) for store in stores] == [6] * 4
    assert names(cache_folder() / "stores") == [stores[0].path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_preparation_leaves_no_files(folder, tmp_path, monkeypatch, error):
    def interrupted(dataset, **options):
        yield next(decode_dataset(dataset, **options))
        raise error

    monkeypatch.setattr(module, "decode_dataset", interrupted)
    with pytest.raises(error):
        prepare(folder, tmp_path / "s")
    assert names(tmp_path) == ["data"]


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_sunnybrook_is_prepared():
    store = prepare(SUNNYBROOK)
    assert len(store) == 74
    assert store.manifest["faults"] == []
    assert set(store.samples["phase"]) == {""}
    assert sorted(store.samples["patient"].unique()) == ["SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4", "SC-HF-I-5"]
    areas = np.array([contour_area(store.contour(index)) for index in range(74)])
    assert 30 < areas.min() < areas.max() < 3000


# corrections


def corrected_table(path: Path, frames, *, name="a", radii=(5.0, 10.0)) -> Path:
    lines = ["FileName,X1,Y1,X2,Y2,Frame"]
    for frame in frames:
        lines += chord_lines(name, frame, ellipse_chords(radii=radii))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_corrections_replace_tracings(tmp_path):
    data = write_folder(tmp_path / "data")
    original = prepare(data, size=SIZE)
    table = corrected_table(tmp_path / "VolumeTracings.csv", [5, 7])
    for corrections in (table, tmp_path):
        store = prepare(data, size=SIZE, corrections=corrections)
        assert store.samples[["video", "frame", "phase"]].values.tolist()[:3] == [
            ["a", 2, "ES"],
            ["a", 5, "ED"],
            ["a", 7, ""],
        ]
        np.testing.assert_array_equal(store.contour(0), original.contour(0))
        for image in (1, 2):
            np.testing.assert_allclose(
                store.contour(image), order_contour(ellipse_chords(radii=(5.0, 10.0))), atol=1e-3
            )
        np.testing.assert_array_equal(store.frames[1], original.frames[1])
        np.testing.assert_array_equal(store.points[store.offsets[3] :], original.points[original.offsets[2] :])
    corrected_table(table, [2])
    assert len(prepare(data, size=SIZE, corrections=table)) == 6, "a changed table needs a new store"
    assert prepare(data, size=SIZE).path == original.path


def test_corrections_that_do_not_fit_are_reported(tmp_path):
    data = write_folder(tmp_path / "data")
    table = corrected_table(tmp_path / "some.csv", [5], name="z")
    store = prepare(data, size=SIZE, corrections=table)
    reason = "z is not among the traced videos"
    assert store.manifest["faults"] == [{"file": str(table), "row": 2, "reason": reason, "column": "FileName"}]
    with pytest.raises(DataError, match="z is not among the traced videos"):
        prepare(data, size=SIZE, corrections=table, strict=True)
    with pytest.raises(DataError, match=r"contains chords, but .* points; review with --data"):
        prepare(write_points_folder(tmp_path / "points"), size=SIZE, corrections=table)
    with pytest.raises(DataError, match="is already a store"):
        prepare(store.path, size=SIZE, corrections=table)
    beyond = corrected_table(tmp_path / "beyond.csv", [99], name="a")
    (fault,) = prepare(data, size=SIZE, corrections=beyond).manifest["faults"]
    assert (fault["file"], fault["row"], fault["reason"][:15]) == (str(beyond), 2, "frame 99 of a i")
    with pytest.raises(DataError, match=r"none\.csv: missing"):
        prepare(data, size=SIZE, corrections=tmp_path / "none.csv")


def test_changed_files_are_found_even_with_the_same_size_and_time(folder, tmp_path, capsys):
    store = prepare(folder, tmp_path / "s")
    assert sorted(store.manifest["files"]) == ["FileList.csv", *(f"Videos/{name}.avi" for name in "abc"), TRACINGS]
    command = ["check", str(folder), "--store", str(tmp_path / "s")]
    assert main(command) == 0
    assert "5 files, all as when" in capsys.readouterr().out
    video = folder / "Videos/b.avi"
    status, content = video.stat(), bytearray(video.read_bytes())
    content[len(content) // 2] ^= 1
    video.write_bytes(content)
    os.utime(video, ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "Videos/a.avi").rename(folder / "Videos/d.avi")
    assert changed_files(folder, store.manifest["files"]) == {
        "Videos/a.avi": "gone",
        "Videos/b.avi": "changed",
        "Videos/d.avi": "new",
    }
    assert main(command) == 1
    output = capsys.readouterr()
    assert f"{video}: changed\n" in output.out
    assert output.err.count("\n") == 1
