"""Corrections replace the tracings of the file that was reviewed, not of another one of its name."""

from __future__ import annotations

import re
import shutil

import nibabel
import numpy as np
import pytest

from _folders import SIZE, chord_lines, ellipse_chords, write_video
from _series import pixels, write_series
from echoseg.datasets.file_contents import FILES, hash_content, hash_table
from echoseg.datasets.store import prepare
from echoseg.errors import DataError


@pytest.fixture
def corrections(folder, tmp_path):
    """A folder with a correction of each video of `folder`."""
    path = tmp_path / "corrections"
    path.mkdir()
    lines = [line for name in "abc" for line in chord_lines(name, 5, ellipse_chords(radii=(5.0, 10.0)))]
    (path / "VolumeTracings.csv").write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *lines, ""]))
    videos = (folder / "Videos" / f"{name}.avi" for name in "abc")
    (path / FILES).write_bytes(hash_table({video.name: hash_content(video) for video in videos}))
    return path


def test_another_recording_of_the_same_name_does_not_get_the_corrections(folder, corrections):
    assert len(prepare(folder, size=SIZE, corrections=corrections)) == 6
    for name in "bc":
        write_video(folder / "Videos" / f"{name}.avi", frames=7)
    message = (
        f"b.avi: the corrections of b.avi in {corrections} (and those of 1 more file) were made for another file of"
        " this name; give another folder by --corrections; if the file is the same recording, saved again, delete its"
        f" row in {corrections / FILES}"
    )
    for given in (corrections, corrections / "VolumeTracings.csv"):
        with pytest.raises(DataError, match=re.escape(message)):
            prepare(folder, size=SIZE, corrections=given)
    (corrections / FILES).unlink()
    assert len(prepare(folder, size=SIZE, corrections=corrections)) == 6


def test_a_new_hash_is_not_overlooked_for_a_store_that_was_made_before(folder, corrections):
    table = (corrections / FILES).read_bytes()
    (corrections / FILES).unlink()
    prepare(folder, size=SIZE, corrections=corrections)
    (corrections / FILES).write_bytes(table.replace(b"a.avi,", b"a.avi,0"))
    with pytest.raises(DataError, match=r"the corrections of a\.avi in .* were made for another file"):
        prepare(folder, size=SIZE, corrections=corrections)


def test_recordings_without_corrections_and_copies_in_another_format_are_not_compared(folder, corrections):
    hashes = {"a.mp4": "0", "z.avi": "0", "b": hash_content(folder / "Videos" / "b.avi")}
    (corrections / FILES).write_bytes(hash_table(hashes))
    prepare(folder, size=SIZE, corrections=corrections)
    (corrections / FILES).write_bytes(hash_table(hashes | {"b": "0"}))
    with pytest.raises(DataError, match=r"the corrections of b in .* were made for another file"):
        prepare(folder, size=SIZE, corrections=corrections)


@pytest.mark.slow
def test_all_files_that_are_read_as_one_count(tmp_path):
    series = tmp_path / "heart"
    write_series(series, pixels())
    first = hash_content(series)
    (series / "notes.txt").write_text("not read")
    assert hash_content(series) == first
    shutil.copytree(series, tmp_path / "copy")
    assert hash_content(tmp_path / "copy") == first
    write_series(series, pixels(seed=1))
    assert hash_content(series) != first

    headers = {
        "a.mhd": "NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = voxels.raw\n",
        "a.nhdr": "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: voxels.raw\n\n",
    }
    for name, header in headers.items():
        (tmp_path / name).write_text(header)
        (tmp_path / "voxels.raw").write_bytes(bytes(8))
        before = hash_content(tmp_path / name)
        (tmp_path / "voxels.raw").write_bytes(bytes([1] * 8))
        assert hash_content(tmp_path / name) != before
    values = []
    for value in (0, 1):
        image = nibabel.Nifti1Pair(np.full((2, 2, 2), value, np.uint8), np.eye(4))
        nibabel.save(image, tmp_path / "pair.hdr")
        values.append(hash_content(tmp_path / "pair.hdr"))
    assert values[0] != values[1]
