"""Atomic files and folders: what remains after a failure, and what the error names."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import naming, new_folder, remove_abandoned, replace_file, written_avi

WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from echoseg.utils.files import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "partial").write_text("written")
    print(folder.name, flush=True)
    sys.stdin.read()
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_temporary_folders_of_killed_processes_are_removed_and_those_of_running_ones_are_kept(tmp_path):
    out = tmp_path / "s[1] *"  # must not be used as a pattern
    (tmp_path / ".s[1] *.mine.part").mkdir()
    (tmp_path / ".other.01234567.part").mkdir()
    (tmp_path / ".s[1] *.01234567.part").write_text("a file")
    command = [sys.executable, "-c", WRITE_AND_WAIT, str(out)]
    with contextlib.ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        writers = [stack.enter_context(subprocess.Popen(command, text=True, **pipes)) for _ in range(2)]
        temporaries = [process.stdout.readline().strip() for process in writers]
        assert set(temporaries) < set(names(tmp_path))
        writers[0].kill()
        writers[0].wait()
        with new_folder(out) as folder:
            (folder / "whole").write_text("written")
            assert temporaries[0] not in names(tmp_path)
            assert temporaries[1] in names(tmp_path)
    assert writers[1].returncode == 1  # `out` exists when it finishes
    assert names(tmp_path) == [".other.01234567.part", ".s[1] *.01234567.part", ".s[1] *.mine.part", out.name]
    assert names(out) == ["whole"]


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_a_temporary_folder_that_another_process_removes_is_made_again(tmp_path, monkeypatch):
    mkdir, removed = type(tmp_path).mkdir, []

    def mkdir_and_remove(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        if path.name.endswith(".part") and len(removed) < 3:
            removed.append(path.name)
            remove_abandoned([path])

    monkeypatch.setattr(type(tmp_path), "mkdir", mkdir_and_remove)
    with new_folder(tmp_path / "s") as folder:
        (folder / "whole").write_text("written")
    assert len(removed) == 3
    assert names(tmp_path) == ["s"]


@pytest.mark.parametrize(
    ("error", "filename", "message"),
    [
        (lambda folder: OSError(28, "No space left on device"), "s", "No space"),
        (lambda folder: OSError(28, "No space left on device", str(folder / "a/b")), "s/a/b", "No space"),
        (lambda folder: OSError("40 requested and 8 written"), "s", "40 requested and 8 written"),
        (lambda folder: OSError(2, "No such file", "elsewhere/video.avi"), None, "No such file"),
    ],
)
def test_errors_name_the_final_path(tmp_path, error, filename, message):
    with pytest.raises(OSError, match=message) as caught, new_folder(tmp_path / "s") as folder:
        raise error(folder)
    assert caught.value.filename == (str(tmp_path / filename) if filename else "elsewhere/video.avi")
    assert names(tmp_path) == []

    def write(path):
        path.write_text("partial")
        raise error(path)

    (tmp_path / "s").write_text("before")
    with pytest.raises(OSError, match=message) as caught:
        replace_file(tmp_path / "s", write)
    assert caught.value.filename == (str(tmp_path / filename) if filename else "elsewhere/video.avi")
    assert names(tmp_path) == ["s"]
    assert (tmp_path / "s").read_text() == "before"


def test_writers_of_one_file_at_the_same_time(tmp_path):
    """Each writer finishes its content while the other one is about to rename."""
    path, both = tmp_path / "m.json", threading.Barrier(2)

    def write(temporary, text):
        with temporary.open("w") as file:
            both.wait()
            file.write(text)
            file.flush()
            both.wait()

    def replace(text):
        replace_file(path, lambda temporary: write(temporary, text))
        return path.read_text()

    texts = ["a" * 5000, "b" * 7000]
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(replace, texts)) <= set(texts)
    assert names(tmp_path) == ["m.json"]


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    (tmp_path / ".m.json.01234567.part").mkdir()
    (tmp_path / ".m.json.01234567.part" / "m.json").write_text("partial")
    (tmp_path / ".other.json.01234567.part").mkdir()
    replace_file(tmp_path / "m.json", lambda temporary: temporary.write_text("whole"))
    assert names(tmp_path) == [".other.json.01234567.part", "m.json"]


def test_a_file_of_the_longest_possible_name(tmp_path):
    replace_file(tmp_path / ("a" * 250 + ".json"), lambda temporary: temporary.write_text("whole"))
    assert names(tmp_path) == ["a" * 250 + ".json"]


def test_opencv_gets_an_ascii_name_on_windows(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "Müller").mkdir()
    path = tmp_path / "Müller" / "é.avi"
    with written_avi(path, platform="win32") as name:
        assert name.isascii()
        Path(name).write_bytes(b"RIFF\x01\0\0\0x")
    assert path.read_bytes().startswith(b"RIFF")
    assert names(tmp_path) == ["Müller"]
    with pytest.raises(OSError, match="only in part"), written_avi(path, platform="win32") as name:
        Path(name).write_bytes(b"RIFF\x09\0\0\0x")


@pytest.mark.skipif(os.name == "nt", reason="folders have short names on Windows")
def test_a_temporary_folder_that_opencv_cannot_write_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "Müller"))
    (tmp_path / "Müller").mkdir()
    with pytest.raises(DataError, match="set TEMP"), written_avi(tmp_path / "Müller" / "a.avi", platform="win32"):
        pass
    assert not names(tmp_path / "Müller")


def test_an_error_whose_message_names_the_path_is_unchanged(tmp_path):
    with pytest.raises(FileExistsError) as caught, naming(tmp_path / "s"):
        raise FileExistsError(f"{tmp_path / 's'}: exists already; choose another name")
    assert str(caught.value) == f"{tmp_path / 's'}: exists already; choose another name"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.data())
def test_a_checksum_survives_json_and_detects_every_change(values, data):
    values.pop("checksum", None)
    text = json.dumps(add_checksum(values))
    np.testing.assert_equal(parse(text, required=True), values)
    index = data.draw(st.integers(0, len(text) - 1))
    changed = text[:index] + chr(ord(text[index]) ^ (1 << data.draw(st.integers(0, 6)))) + text[index + 1 :]
    try:
        found = parse(changed, required=True)
    except ValueError:
        return
    np.testing.assert_equal(found, values)


def test_a_missing_checksum_is_accepted_unless_required():
    assert parse('{"a": 1}') == {"a": 1}
    for text in ('{"a": 1}', "[1]", "", "[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            parse(text, required=True)
