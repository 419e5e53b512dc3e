from __future__ import annotations

import contextlib
import json
import math
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.datasets.store import open_store, write_store
from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file

TRACINGS = "VolumeTracings.csv"


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


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_a_written_store_is_opened_unchanged(tmp_path):
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
    assert names(tmp_path) == ["s"]


@pytest.mark.slow
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
def test_texts_and_numbers_are_read_back_exactly(tmp_path_factory, texts, number):
    count = len(texts)
    samples = table(count, patient=texts, split=texts[::-1], ef=number, sex=texts, age=number)
    triangles = [np.array([[0, 0], [1, 0], [0, 1]], np.float32)] * count
    out = tmp_path_factory.mktemp("table") / "s"
    read = write_store(out, np.zeros((count, 2, 2), np.uint8), triangles, samples, {}).samples
    assert list(read["patient"]) == texts
    assert list(read["split"]) == texts[::-1]
    np.testing.assert_array_equal(read["ef"], samples["ef"])
    np.testing.assert_array_equal(read["age"], samples["age"])
    assert read["sex"].tolist() == samples["sex"].tolist()


def test_a_blank_slice_has_no_points(tmp_path):
    contours = [np.zeros((0, 2), np.float32), np.eye(3, 2, dtype=np.float32), np.zeros((0, 2), np.float32)]
    samples = table(3, crop_top=1, crop_left=2, crop_height=8, crop_width=10)
    write_store(tmp_path / "s", np.zeros((3, 4, 5), np.uint8), contours, samples, {})
    store = open_store(tmp_path / "s")
    assert store.blank.tolist() == [True, False, True]
    assert list(store.samples["blank"]) == [1, 0, 1]
    assert [len(store.contour(index)) for index in range(3)] == [0, 3, 0]
    assert store.crop(1) == Crop(Box(1, 2, 8, 10), (4, 5))


def test_arguments_that_do_not_fit_each_other_are_refused(tmp_path):
    frames, triangle = np.zeros((2, 4, 4), np.uint8), np.eye(3, 2, dtype=np.float32)
    bad = triangle.copy()
    bad[0, 0] = np.nan
    for arguments, message in (
        ((frames.astype(float), [triangle] * 2, table(2), {}), "uint8"),
        ((frames, [triangle], table(2), {}), "do not match"),
        ((frames, [triangle, triangle[:2]], table(2), {}), r"contours\[1\]"),
        ((frames, [triangle[:0]] * 2, table(2), {}), "all are blank"),
        ((frames, [triangle, bad], table(2), {}), r"contours\[1\].*finite"),
        ((frames, [triangle] * 2, table(2).drop(columns="row"), {}), "no column row"),
    ):
        with pytest.raises(ValueError, match=message):
            write_store(tmp_path / "s", *arguments)
    assert names(tmp_path) == []


def test_an_existing_folder_is_not_changed(tmp_path):
    (tmp_path / "s").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        tiny_store(tmp_path / "s")
    assert names(tmp_path / "s") == []


def rewrite(path, change):
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


DAMAGES = {
    "no manifest": ("manifest.json", lambda p: p.unlink()),
    "manifest cut": ("manifest.json", lambda p: p.write_text(p.read_text()[:50])),
    "manifest not an object": ("manifest.json", lambda p: p.write_text("[1]")),
    "another format": ("manifest.json", lambda p: rewrite(p, lambda m: m.update(format=99))),
    "manifest incomplete": ("manifest.json", lambda p: rewrite(p, lambda m: m.pop("faults"))),
    "manifest of another store": (
        "frames.npy",
        lambda p: rewrite(p.parent / "manifest.json", lambda m: m.update(samples=9)),
    ),
    "no frames": ("frames.npy", lambda p: p.unlink()),
    "frames cut": ("frames.npy", lambda p: os.truncate(p, p.stat().st_size - 1)),
    "frames too long": ("frames.npy", lambda p: p.write_bytes(p.read_bytes() + b"x")),
    "frames empty": ("frames.npy", lambda p: p.write_bytes(b"")),
    "frames of floats": ("frames.npy", lambda p: np.save(p, np.zeros((3, 4, 5)))),
    "frames pickled": ("frames.npy", lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True)),
    "points with three columns": ("points.npy", lambda p: np.save(p, np.zeros((12, 3), np.float32))),
    "points too few": ("offsets.npy", lambda p: np.save(p.parent / "points.npy", np.zeros((11, 2), np.float32))),
    "offsets too few": ("offsets.npy", lambda p: np.save(p, np.array([0, 3, 12]))),
    "offsets that decrease": ("offsets.npy", lambda p: np.save(p, np.array([0, 8, 3, 12]))),
    "no samples": ("samples.csv", lambda p: p.unlink()),
    "samples cut": ("samples.csv", lambda p: p.write_text("".join(p.read_text().splitlines(True)[:2]))),
    "samples with words": ("samples.csv", lambda p: p.write_text(p.read_text().replace(",0,", ",zero,"))),
    "samples without a column": ("samples.csv", lambda p: p.write_text(p.read_text().replace("patient", "name"))),
}


def update_checksums(folder):
    """Make the checksums match the damaged files."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"] = {name: hash_file(folder / name) for name in manifest["sha256"] if (folder / name).exists()}
    manifest.pop("checksum")
    path.write_text(json.dumps(add_checksum(manifest)))


@pytest.mark.parametrize("valid_checksums", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_is_refused_with_file_and_cure(tmp_path, damage, valid_checksums):
    tiny_store(tmp_path / "s")
    name, change = DAMAGES[damage]
    change(tmp_path / "s" / name)
    if valid_checksums:
        with contextlib.suppress(OSError, ValueError, TypeError):  # raised for an invalid manifest
            update_checksums(tmp_path / "s")
    with pytest.raises(DataError, match="run echoseg prepare again") as caught:
        open_store(tmp_path / "s")
    assert str(tmp_path / "s" / name if valid_checksums else tmp_path / "s") in str(caught.value)
    assert "\n" not in str(caught.value)
