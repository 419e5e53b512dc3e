"""Commands in a combination of unusual environments (`environments.py` tests each separately), and single cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from _folders import write_folder
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.report.tables import text_table
from echoseg.training.checkpoint import build, save_weights
from echoseg.training.config import Config
from echoseg.utils import cache
from echoseg.utils.cache import cache_folder
from stress.environments import PACKAGE, PROGRAM

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@linux
@pytest.mark.slow
@pytest.mark.stress
def test_unicode_names_in_the_c_locale_without_home_network_and_streams(tmp_path):
    folder = tmp_path / "Ünï cödé 心 'q' $(x)"
    data, run = write_folder(folder / "dätä"), folder / "rün"
    config = Config(approach="mask", size=(32, 32), width=4, depth=2)
    run.mkdir()
    config.save(run / "config.yaml")
    save_weights(run / "model.safetensors", build(config)[0])
    out = folder / "öut"
    commands = [
        ["check", data, "--out", out / "check"],
        ["prepare", data],
        ["predict", run, data / "Videos", "--device", "cpu", "--out", out / "predicted"],
    ]
    codes = folder / "codes"
    arguments = json.dumps([[str(word) for word in command] for command in commands])
    shell = ["sh", "-c", 'umask 077; exec "$@" <&- >&- 2>&-', "sh"]
    program = [sys.executable, "-c", PROGRAM, arguments, str(codes)]
    environment = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "HOME": "/dev/null",
        "TMPDIR": str(folder),
        "COLUMNS": "40",
    }
    environment["PYTHONPATH"] = str(PACKAGE.parent)
    subprocess.run([*shell, *program], env=environment, cwd=folder, check=True)
    assert json.loads(codes.read_text()) == [0, 0, 0]
    assert (out / "predicted/results.csv").read_text().count("\n") == 4
    assert (folder / f"echoseg-{os.getuid()}/stores").is_dir()


@linux
@pytest.mark.parametrize("mode", ["own", "open", "link"])
def test_without_a_home_folder_the_cache_is_accessible_only_to_the_user(tmp_path, monkeypatch, mode):
    monkeypatch.delenv("ECHOSEG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"echoseg-{os.getuid()}"
    if mode == "own":
        assert cache_folder() == folder
        assert folder.stat().st_mode & 0o777 == 0o700
        assert cache_folder() == folder
        return
    (tmp_path / "target").mkdir(mode=0o700)
    if mode == "open":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        folder.symlink_to(tmp_path / "target")
    with pytest.raises(DataError, match="set ECHOSEG_CACHE"):
        cache_folder()


def test_a_closed_pipe_ends_a_command_without_a_message(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "echoseg", "init", str(tmp_path / "new"), "--layout", "echonet"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    assert (tmp_path / "new/README.md").is_file()


@linux
def test_a_name_that_cannot_be_encoded_is_reported_with_a_cure(tmp_path):
    data = write_folder(tmp_path / "data", names=("a", "é"))
    command = [sys.executable, "-m", "echoseg", "prepare", str(data), "--out", str(tmp_path / "store")]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "set PYTHONUTF8=1" in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_control_characters_in_names_are_escaped_in_messages(tmp_path, capsys):
    assert main(["check", str(tmp_path / "a\nb\x1b[2J")]) == 1
    assert capsys.readouterr().err.endswith(r"a\nb\x1b[2J: no such folder; give one that contains a data set" + "\n")


def test_a_name_that_is_too_long_is_reported(tmp_path, capsys):
    assert main(["init", str(tmp_path / ("x" * 300)), "--layout", "echonet"]) == 1
    assert "x" * 300 in capsys.readouterr().err


def test_a_table_is_wrapped_in_a_narrow_terminal(monkeypatch):
    header, rows = ["", "model", "all black"], [["foreground Dice", "0.91", "0.00"], ["IoU", "0.85", ""]]
    monkeypatch.setenv("COLUMNS", "40")
    assert text_table(header, rows).splitlines()[2] == "foreground Dice   0.91       0.00"
    monkeypatch.setenv("COLUMNS", "24")
    text = "foreground Dice\n  model 0.91, all black\n  0.00\nIoU\n  model 0.85"
    assert text_table(header, rows) == text
