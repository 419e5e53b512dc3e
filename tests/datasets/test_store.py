from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from echoseg.datasets.store import open_store, prepare, write_store
from echoseg.errors import DataError
from echoseg.geometry.contour import contour_area, order_contour
from echoseg.utils.cache import cache_folder
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file

TRACINGS = "VolumeTracings.csv"


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("store") / "data")


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "data")


def table(count: int, **columns) -> pd.DataFrame:
    text = {"video": "v", "patient": "p", "phase": "", "split": "", "view": ""}
    whole = {"frame": 0, "row": 2, "height": 4, "width": 5}
    real = dict.fromkeys(("ef", "edv", "esv", "spacing_y", "spacing_x", "thickness"), math.nan)
    return pd.DataFrame({**text, **whole, "fps": 50.0, **real, **columns}, range(count))


def tiny_store(path, **manifest):
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    contours = [random.normal(size=(count, 2)).astype(np.float32) for count in (3, 5, 4)]
    return frames, contours, write_store(path, frames, contours, table(3), manifest)


def leftovers(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_what_is_written_is_what_is_opened(tmp_path):
    frames, contours, _ = tiny_store(tmp_path / "s", kind="points")
    store = open_store(tmp_path / "s")
    assert len(store) == 3
    assert store.size == (4, 5)
    assert isinstance(store.frames, np.memmap)
    np.testing.assert_array_equal(store.frames, frames)
    for index, contour in enumerate(contours):
        np.testing.assert_array_equal(store.contour(index), contour)
    with pytest.raises(IndexError):
        store.contour(3)
    assert (store.manifest["kind"], store.manifest["faults"], store.manifest["samples"]) == ("points", [], 3)
    assert leftovers(tmp_path) == ["s"]


@settings(max_examples=40)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)
        | st.sampled_from(["NA", "nan", "", "1e5", "007", " x ", "a,b", '"', "None", "null"]),
        min_size=1,
        max_size=5,
    ),
    number=st.floats(allow_infinity=False),
)
def test_names_and_numbers_survive_the_table(tmp_path_factory, texts, number):
    count = len(texts)
    samples = table(count, patient=texts, split=texts[::-1], ef=number)
    triangles = [np.array([[0, 0], [1, 0], [0, 1]], np.float32)] * count
    out = tmp_path_factory.mktemp("table") / "s"
    again = write_store(out, np.zeros((count, 2, 2), np.uint8), triangles, samples, {}).samples
    assert list(again["patient"]) == texts
    assert list(again["split"]) == texts[::-1]
    np.testing.assert_array_equal(again["ef"], samples["ef"])


def test_parts_that_do_not_fit_are_refused_and_leave_nothing(tmp_path):
    frames, triangle = np.zeros((2, 4, 4), np.uint8), np.eye(3, 2, dtype=np.float32)
    bad = triangle.copy()
    bad[0, 0] = np.nan
    for arguments, words in (
        ((frames.astype(float), [triangle] * 2, table(2), {}), "uint8"),
        ((frames, [triangle], table(2), {}), "do not match"),
        ((frames, [triangle, triangle[:2]], table(2), {}), r"contours\[1\]"),
        ((frames, [triangle, bad], table(2), {}), r"contours\[1\].*finite"),
        ((frames, [triangle] * 2, table(2).drop(columns="row"), {}), "no column row"),
    ):
        with pytest.raises(ValueError, match=words):
            write_store(tmp_path / "s", *arguments)
    assert leftovers(tmp_path) == []


def test_an_existing_folder_is_not_touched(tmp_path, folder):
    (tmp_path / "s").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        tiny_store(tmp_path / "s")
    with pytest.raises(FileExistsError, match="exists already"):
        prepare(folder, tmp_path / "s")
    assert leftovers(tmp_path / "s") == []


def rewrite(path, change):
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


DAMAGES = {
    "no manifest": ("manifest.json", lambda p: p.unlink()),
    "manifest cut": ("manifest.json", lambda p: p.write_text(p.read_text()[:50])),
    "manifest of another kind": ("manifest.json", lambda p: p.write_text("[1]")),
    "another format": ("manifest.json", lambda p: rewrite(p, lambda m: m.update(format=99))),
    "manifest incomplete": ("manifest.json", lambda p: rewrite(p, lambda m: m.pop("faults"))),
    "manifest of another store": (
        "frames.npy",
        lambda p: rewrite(p.parent / "manifest.json", lambda m: m.update(samples=9)),
    ),
    "frames gone": ("frames.npy", lambda p: p.unlink()),
    "frames cut": ("frames.npy", lambda p: os.truncate(p, p.stat().st_size - 1)),
    "frames too long": ("frames.npy", lambda p: p.write_bytes(p.read_bytes() + b"x")),
    "frames empty": ("frames.npy", lambda p: p.write_bytes(b"")),
    "frames of floats": ("frames.npy", lambda p: np.save(p, np.zeros((3, 4, 5)))),
    "frames pickled": ("frames.npy", lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True)),
    "points of another width": ("points.npy", lambda p: np.save(p, np.zeros((12, 3), np.float32))),
    "points too few": ("offsets.npy", lambda p: np.save(p.parent / "points.npy", np.zeros((11, 2), np.float32))),
    "offsets too few": ("offsets.npy", lambda p: np.save(p, np.array([0, 3, 12]))),
    "offsets that fall": ("offsets.npy", lambda p: np.save(p, np.array([0, 8, 3, 12]))),
    "samples gone": ("samples.csv", lambda p: p.unlink()),
    "samples cut": ("samples.csv", lambda p: p.write_text("".join(p.read_text().splitlines(True)[:2]))),
    "samples of words": ("samples.csv", lambda p: p.write_text(p.read_text().replace(",0,", ",zero,"))),
    "samples without a column": ("samples.csv", lambda p: p.write_text(p.read_text().replace("patient", "who"))),
}


def seal_again(folder):
    """As if what is damaged had been written so."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"] = {name: hash_file(folder / name) for name in manifest["sha256"] if (folder / name).exists()}
    manifest.pop("checksum")
    path.write_text(json.dumps(add_checksum(manifest)))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_names_the_file_and_the_cure(tmp_path, damage, sealed):
    tiny_store(tmp_path / "s")
    name, change = DAMAGES[damage]
    change(tmp_path / "s" / name)
    if sealed:
        with contextlib.suppress(OSError, ValueError, TypeError):  # a manifest that is none stays as it is
            seal_again(tmp_path / "s")
    with pytest.raises(DataError, match="run echoseg prepare again") as caught:
        open_store(tmp_path / "s")
    assert str(tmp_path / "s" / name if sealed else tmp_path / "s") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_prepare_takes_the_traced_frames_with_their_contours_and_facts(folder, tmp_path):
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


def test_points_of_another_ordering(tmp_path):
    folder = write_points_folder(tmp_path / "points")
    given = prepare(folder)
    assert given.manifest["ordering"] == "given"
    hull = prepare(folder, ordering="hull")
    assert hull.path != given.path
    assert contour_area(hull.contour(0)) == pytest.approx(contour_area(given.contour(0)))
    with pytest.raises(DataError, match="use 'given'"):
        prepare(folder, ordering="chords")
    with pytest.raises(ValueError, match="known: chords, angle"):
        prepare(folder, ordering="spiral")
    with pytest.raises(ValueError, match="size"):
        prepare(folder, size=(0, 112))
    with pytest.raises(ValueError, match="fov_mm"):
        prepare(folder, fov_mm=0.0)


def test_strict_refuses_what_shows_only_in_the_video(folder, tmp_path):
    write_video(folder / "Videos/b.avi", frames=4)
    store = prepare(folder)
    assert len(store) == 5
    (fault,) = store.manifest["faults"]
    assert (fault["file"], fault["row"]) == (TRACINGS, 32)
    refusal = r"VolumeTracings\.csv:32:Frame: frame 5 of b lies beyond the video's 4 frames \(fault 1 of 1\)"
    for source, out in ((folder, None), (folder, tmp_path / "out"), (store.path, None)):
        with pytest.raises(DataError, match=refusal):
            prepare(source, out, strict=True)
    assert leftovers(tmp_path) == ["cache", "data"]
    assert leftovers(cache_folder() / "stores") == [store.path.name]


def test_faults_of_the_tables_come_along_and_strict_refuses_before_decoding(folder, monkeypatch):
    set_cell(folder / TRACINGS, 24, 3, "?")
    assert [fault["row"] for fault in prepare(folder).manifest["faults"]] == [24]
    monkeypatch.setattr(module, "decode_dataset", None)
    with pytest.raises(DataError, match=r"VolumeTracings\.csv:24:X2: '\?' is.* \(fault 1 of 1\)"):
        prepare(folder, folder.parent / "out", strict=True)


@pytest.mark.parametrize(
    ("gone", "words"), [(".", "no such folder"), (TRACINGS, "missing"), ("Videos", "no such folder")]
)
@pytest.mark.parametrize("out", [None, "s"])
def test_what_is_missing_is_named_whether_cached_or_not(folder, tmp_path, gone, words, out):
    shutil.rmtree(folder / gone) if (folder / gone).is_dir() else (folder / gone).unlink()
    with pytest.raises(DataError, match=f"{(folder / gone).name}: {words}"):
        prepare(folder, out and tmp_path / out)
    assert leftovers(tmp_path) == (["data"] if folder.exists() else [])


def test_nothing_usable_leaves_nothing(folder, tmp_path):
    for name in "abc":
        (folder / "Videos" / f"{name}.avi").write_bytes(b"")
    with pytest.raises(DataError, match=r"nothing usable in it; Videos/a\.avi: is empty.* \(fault 1 of 3\)"):
        prepare(folder, tmp_path / "s")
    assert leftovers(tmp_path) == ["data"]


def test_the_cache_is_used_until_something_changes(folder, monkeypatch):
    first = prepare(folder)
    assert first.path.parent == cache_folder() / "stores"
    real = module.decode_dataset
    monkeypatch.setattr(module, "decode_dataset", None)  # whoever decodes now fails
    assert prepare(folder).path == first.path
    monkeypatch.setattr(module, "decode_dataset", real)
    assert prepare(folder, size=(64, 64)).path != first.path
    os.utime(folder / "Videos/a.avi", ns=(1, 1))
    second = prepare(folder)
    assert second.path != first.path
    set_cell(folder / "FileList.csv", 2, 1, "10")
    third = prepare(folder)
    assert third.path not in (first.path, second.path)
    assert third.samples["ef"][0] == 10


def test_a_damaged_cache_is_made_again(folder):
    path = prepare(folder).path
    os.truncate(path / "frames.npy", 200)
    assert len(prepare(folder)) == 6


def test_a_store_is_taken_as_it_is(folder, tmp_path):
    path = prepare(folder, tmp_path / "s").path
    assert prepare(path).path == path
    assert prepare(path, ordering="chords").path == path
    for arguments, words in (
        ({"size": (64, 64)}, r"holds frames of size \(112, 112\), asked for \(64, 64\)"),
        ({"ordering": "hull"}, "ordering 'chords', asked for 'hull'"),
        ({"out": tmp_path / "t"}, "is a store already"),
    ):
        with pytest.raises(DataError, match=words):
            prepare(path, **arguments)


def test_two_that_prepare_the_same_at_once_share_one_store(folder, monkeypatch):
    real, barrier = module.read_dataset, threading.Barrier(4)

    def together(path):
        barrier.wait(timeout=20)
        return real(path)

    monkeypatch.setattr(module, "read_dataset", together)
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: prepare(folder), range(4)))
    assert len({store.path for store in stores}) == 1
    assert [len(store) for store in stores] == [6] * 4
    assert leftovers(cache_folder() / "stores") == [stores[0].path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_preparation_leaves_nothing(folder, tmp_path, monkeypatch, error):
    def interrupted(dataset, **options):
        yield next(decode_dataset(dataset, **options))
        raise error

    monkeypatch.setattr(module, "decode_dataset", interrupted)
    with pytest.raises(error):
        prepare(folder, tmp_path / "s")
    assert leftovers(tmp_path) == ["data"]


def test_the_cache_folder_is_the_users_unless_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("ECHOSEG_CACHE")
    assert cache_folder().name == "echoseg"


@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is not here")
def test_sunnybrook():
    store = prepare(SUNNYBROOK)
    assert len(store) == 74
    assert store.manifest["faults"] == []
    assert set(store.samples["phase"]) == {""}
    assert sorted(store.samples["patient"].unique()) == ["SC-HF-I-1", "SC-HF-I-2", "SC-HF-I-4", "SC-HF-I-5"]
    areas = np.array([contour_area(store.contour(index)) for index in range(74)])
    assert 30 < areas.min() < areas.max() < 3000


# ---- corrections


def corrected_table(path: Path, frames, *, name="a", radii=(5.0, 10.0)) -> Path:
    lines = ["FileName,X1,Y1,X2,Y2,Frame"]
    for frame in frames:
        lines += chord_lines(name, frame, ellipse_chords(radii=radii))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_corrections_take_the_tracings_place(tmp_path):
    data = write_folder(tmp_path / "data")
    plain = prepare(data, size=SIZE)
    table = corrected_table(tmp_path / "VolumeTracings.csv", [5, 7])
    for wanted in (table, tmp_path):
        store = prepare(data, size=SIZE, corrections=wanted)
        assert store.samples[["video", "frame", "phase"]].values.tolist()[:3] == [
            ["a", 2, "ES"],
            ["a", 5, "ED"],
            ["a", 7, ""],
        ]
        np.testing.assert_array_equal(store.contour(0), plain.contour(0))
        for image in (1, 2):
            np.testing.assert_allclose(
                store.contour(image), order_contour(ellipse_chords(radii=(5.0, 10.0))), atol=1e-3
            )
        np.testing.assert_array_equal(store.frames[1], plain.frames[1])
        np.testing.assert_array_equal(store.points[store.offsets[3] :], plain.points[plain.offsets[2] :])
    corrected_table(table, [2])
    assert len(prepare(data, size=SIZE, corrections=table)) == 6, "another table is another store"
    assert prepare(data, size=SIZE).path == plain.path


def test_corrections_that_do_not_fit_are_told(tmp_path):
    data = write_folder(tmp_path / "data")
    table = corrected_table(tmp_path / "some.csv", [5], name="z")
    store = prepare(data, size=SIZE, corrections=table)
    reason = "z is not among the traced videos"
    assert store.manifest["faults"] == [{"file": str(table), "row": 2, "reason": reason, "column": "FileName"}]
    with pytest.raises(DataError, match="z is not among the traced videos"):
        prepare(data, size=SIZE, corrections=table, strict=True)
    with pytest.raises(DataError, match=r"holds chords, and .* points; review with --data"):
        prepare(write_points_folder(tmp_path / "points"), size=SIZE, corrections=table)
    with pytest.raises(DataError, match="is a store already"):
        prepare(store.path, size=SIZE, corrections=table)
    with pytest.raises(DataError, match=r"none\.csv: missing"):
        prepare(data, size=SIZE, corrections=tmp_path / "none.csv")


def test_files_that_changed_since_are_named_though_size_and_time_are_the_same(folder, tmp_path, capsys):
    store = prepare(folder, tmp_path / "s")
    assert sorted(store.manifest["files"]) == ["FileList.csv", *(f"Videos/{name}.avi" for name in "abc"), TRACINGS]
    command = ["check", str(folder), "--store", str(tmp_path / "s")]
    assert main(command) == 0
    assert "5 files, all as when" in capsys.readouterr().out
    video = folder / "Videos/b.avi"
    state, whole = video.stat(), bytearray(video.read_bytes())
    whole[len(whole) // 2] ^= 1
    video.write_bytes(whole)
    os.utime(video, ns=(state.st_atime_ns, state.st_mtime_ns))
    (folder / "Videos/a.avi").rename(folder / "Videos/d.avi")
    assert changed_files(folder, store.manifest["files"]) == {
        "Videos/a.avi": "gone",
        "Videos/b.avi": "changed",
        "Videos/d.avi": "new",
    }
    assert main(command) == 1
    said = capsys.readouterr()
    assert f"{video}: changed\n" in said.out
    assert said.err.count("\n") == 1
