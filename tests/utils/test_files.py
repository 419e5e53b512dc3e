"""Files and folders that appear whole or not at all, and what is said and left where they cannot."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import naming, new_folder, remove_abandoned, replace_file

HOLD = """
import sys, time
from pathlib import Path
from echoseg.utils.files import new_folder
with new_folder(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    print(folder.name, flush=True)
    sys.stdin.read()
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_what_a_killed_process_began_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    out = tmp_path / "s[1] *"  # no pattern
    (tmp_path / ".s[1] *.mine.part").mkdir()
    (tmp_path / ".other.01234567.part").mkdir()
    (tmp_path / ".s[1] *.01234567.part").write_text("a file")
    command = [sys.executable, "-c", HOLD, str(out)]
    with contextlib.ExitStack() as stack:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        held = [stack.enter_context(subprocess.Popen(command, text=True, **pipes)) for _ in range(2)]
        begun = [process.stdout.readline().strip() for process in held]
        assert set(begun) < set(names(tmp_path))
        held[0].kill()
        held[0].wait()
        with new_folder(out) as folder:
            (folder / "whole").write_text("written")
            assert begun[0] not in names(tmp_path)
            assert begun[1] in names(tmp_path)
    assert held[1].returncode == 1  # its input ended; the name was taken meanwhile
    assert names(tmp_path) == [".other.01234567.part", ".s[1] *.01234567.part", ".s[1] *.mine.part", out.name]
    assert names(out) == ["whole"]


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_a_folder_that_was_taken_for_abandoned_is_made_again(tmp_path, monkeypatch):
    mkdir, swept = type(tmp_path).mkdir, []

    def mkdir_and_sweep(path, *arguments, **options):
        mkdir(path, *arguments, **options)
        if path.name.endswith(".part") and len(swept) < 3:
            swept.append(path.name)
            remove_abandoned([path])

    monkeypatch.setattr(type(tmp_path), "mkdir", mkdir_and_sweep)
    with new_folder(tmp_path / "s") as folder:
        (folder / "whole").write_text("written")
    assert len(swept) == 3
    assert names(tmp_path) == ["s"]


@pytest.mark.parametrize(
    ("error", "named", "says"),
    [
        (lambda folder: OSError(28, "No space left on device"), "s", "No space"),
        (lambda folder: OSError(28, "No space left on device", str(folder / "a/b")), "s/a/b", "No space"),
        (lambda folder: OSError("40 requested and 8 written"), "s", "40 requested and 8 written"),
        (lambda folder: OSError(2, "No such file", "elsewhere/video.avi"), None, "No such file"),
    ],
)
def test_errors_bear_the_name_that_the_user_knows(tmp_path, error, named, says):
    with pytest.raises(OSError, match=says) as caught, new_folder(tmp_path / "s") as folder:
        raise error(folder)
    assert caught.value.filename == (str(tmp_path / named) if named else "elsewhere/video.avi")
    assert names(tmp_path) == []

    def write(path):
        path.write_text("half")
        raise error(path)

    (tmp_path / "s").write_text("before")
    with pytest.raises(OSError, match=says) as caught:
        replace_file(tmp_path / "s", write)
    assert caught.value.filename == (str(tmp_path / named) if named else "elsewhere/video.avi")
    assert names(tmp_path) == ["s"]
    assert (tmp_path / "s").read_text() == "before"


def test_an_error_that_names_its_place_in_words_stays_as_it_is(tmp_path):
    with pytest.raises(FileExistsError) as caught, naming(tmp_path / "s"):
        raise FileExistsError(f"{tmp_path / 's'}: exists already; choose another name")
    assert str(caught.value) == f"{tmp_path / 's'}: exists already; choose another name"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4), st.data())
def test_a_seal_survives_json_and_notices_every_change(values, data):
    values.pop("checksum", None)
    text = json.dumps(add_checksum(values))
    np.testing.assert_equal(parse(text, required=True), values)
    place = data.draw(st.integers(0, len(text) - 1))
    changed = text[:place] + chr(ord(text[place]) ^ (1 << data.draw(st.integers(0, 6)))) + text[place + 1 :]
    try:
        found = parse(changed, required=True)
    except ValueError:
        return
    np.testing.assert_equal(found, values)


def test_without_a_seal_is_older_and_no_object_is_none():
    assert parse('{"a": 1}') == {"a": 1}
    for text in ('{"a": 1}', "[1]", "", "[" * 100_000):
        with pytest.raises(ValueError, match=r"."):
            parse(text, required=True)
