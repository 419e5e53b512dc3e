"""How commands are called: help, misspelt and wrong flags, failures in one line, exit codes."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from _commands import failure, files, wrong_usage
from echoseg.cli import COMMANDS, info, main, make_parser
from echoseg.training.logs import LOG_KINDS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--data", "nowhere", "--out", "new"], "nowhere"),
        (["train", "--data", "data", "--out", "data"], "exists"),
        (["train", "--data", "data", "--config", "none.yaml", "--out", "new"], "none.yaml"),
        (["train", "--data", "data", "--out", "new", "--test-fold", "3"], "fold"),
        (["train", "--data", "data", "--out", "new", "--split-by", "image"], "preset of a paper"),
        (["train", "--data", "data", "--out", "new", "--split-counts", "9", "9", "9"], "the data's 6"),
        (["train", "--data", "data", "--out", "new", "--device", "cuda:99"], "cuda:99"),
        (["train", "--data", "data", "--out", "new", "--size", "100", "100"], "times 16"),
        (["train", "--resume", "--out", "data"], "config.yaml"),
        (["train", "--data", "data", "--out", "new", "--init", "nowhere"], "check the path of the run"),
        (["evaluate", "data"], "give the folder of a run"),
        (["compare", "data", "nowhere", "--out", "new"], "data: no run folder"),
        (["predict", "data", "a.avi", "--out", "new"], "a.avi: no such file"),
        (["predict", "a.avi", "--out", "new"], "a.avi: no such file"),
        (["review", "a.avi"], "a.avi: no such file"),
        (["prepare", "data", "--out", "data"], "exists"),
        (["train", "--data", "", "--out", "new"], "data is empty"),
        (["check", "data", "--out", "data"], "exists"),
        (["prepare", "data/Videos"], "FileList.csv"),
        (["check", "nowhere"], "nowhere"),
        (["phantom", "data"], "exists"),
        (["experiments", "--data", "nowhere", "--out", "new"], "nowhere"),
        (["experiments", "--data", "data", "--out", "data"], "exists"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(data, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    assert words in failure(capsys, *arguments)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["trian"],
        ["train", "--approach", "both"],
        ["train", "--ordering", "spiral"],
        ["train", "--epochs", "x"],
        ["train", "--preset", "seed9"],
        ["train", "--resume", "--preset", "rodriguez", "--out", "new"],
        ["check", "data", "--store", "store", "--out", "new"],
        ["check", "data", "--store", "store", "--structure", "LA"],
        ["evaluate", "run", "--compare-postprocess", "--videos"],
        ["evaluate", "run", "--compare-postprocess", "--postprocess", "closing"],
        ["review", "a.avi", "--port", "65536"],
        ["review", "a.avi", "--agreement", "new", "--reader", "Bea"],
        ["experiments", "--landmarks", "--seed", "5"],
        ["experiments", "--seeds", "5"],
        ["experiments", "--scale", "2"],
        ["experiments", "--learning-curve", "--scale", "0.5"],
        ["experiments", "--paper", "nobody"],
        ["experiments", "--paper", "rodriguez", "--landmarks"],
        ["experiments", "--learning-curve", "--landmarks"],
        ["phantom", "new", "--videos", "0"],
        ["phantom", "new", "--seed", "-1"],
        ["prepare", "data", "--size", "0", "0"],
        ["prepare", "data", "--size", "big", "big"],
        ["prepare", "data", "--fov-mm", "0"],
        ["prepare", "data", "--fov-mm", "wide"],
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_without_a_command_the_help_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: echoseg ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "echoseg: unknown command trian; did you mean train?"),
        (["pre"], "echoseg: unknown command pre; did you mean prepare or predict?"),
        (["segment"], "echoseg: unknown command segment"),
        (["--verson"], "echoseg: unknown flag --verson; did you mean --version?"),
        (["train", "--epoch", "5"], "echoseg train: unknown flag --epoch; did you mean --epochs?"),
        (["train", "--epoch=5"], "echoseg train: unknown flag --epoch; did you mean --epochs?"),
        (["train", "--batch_size", "5"], "echoseg train: unknown flag --batch_size; did you mean --batch-size?"),
        (["train", "--quux"], "echoseg train: unknown flag --quux"),
        (["predict", "run", "a.avi", "--ouput", "x"], "echoseg predict: unknown flag --ouput; did you mean --out?"),
        (["train", "data"], "echoseg train: unexpected argument 'data'"),
    ],
)
def test_what_is_misspelt_is_answered_with_the_nearest_name(capsys, arguments, words):
    assert wrong_usage(capsys, *arguments) == words


def test_no_flag_can_be_abbreviated(capsys):
    parser = make_parser()
    for command in COMMANDS:
        flags = [flag for flag in flags_of(command) if flag.startswith("--")]
        for part in {flag[:end] for flag in flags for end in range(3, len(flag))}.difference(flags):
            with pytest.raises(SystemExit) as stop:
                parser.parse_args([command, part])
            assert stop.value.code == 2
            assert f"{command}: unknown flag {part}; did you mean --" in capsys.readouterr().err


def flags_of(command: str) -> dict[str, argparse.Action]:
    """By their names, the flags of a command."""
    commands = next(action for action in make_parser()._actions if isinstance(action.choices, dict))
    return commands.choices[command]._option_string_actions


def test_the_page_of_the_design_lists_the_commands():
    page = Path(__file__).parents[2] / "docs/design.md"
    if not page.is_file():
        pytest.skip("no documentation here")
    (line,) = re.findall(r"- The commands are (.*?)\.\n", page.read_text(encoding="utf-8"), re.DOTALL)
    assert re.findall("`(.+?)`", line) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "usage: echoseg " + command in printed
    assert f"\nfor example:\n  echoseg {command}" in printed
    assert max(map(len, printed.splitlines())) <= 80
    for flag, action in flags_of(command).items():
        assert action.help, flag
        if action.nargs != 0 and action.choices is None:  # it takes a value: the help says what kind of value
            assert action.metavar not in (None, "X"), flag


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"echoseg {importlib.metadata.version('echoseg')}\n"


@pytest.mark.parametrize("command", ["train", "experiments"])
def test_the_kind_of_log_is_passed_on(command, data, monkeypatch, capsys):
    kinds = []
    monkeypatch.setattr("echoseg.training.logs.configure_logging", kinds.append)
    for flags in ([], ["--log", "text"], ["--log", "json"], ["--log", "none"]):
        assert "exists already" in failure(capsys, command, "--data", data, "--out", data, *flags)
    assert kinds == ["auto", "text", "json", "none"]
    assert set(kinds) == set(LOG_KINDS)
    assert "invalid choice" in wrong_usage(capsys, command, "--log", "xml")


def test_interruption_exits_with_130(data, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("echoseg.api.prepare", interrupt)
    assert main(["train", "--data", str(data)]) == 130
    assert capsys.readouterr().err == "echoseg: interrupted\n"


def test_info(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    for word in ("simd_level", "threads", "cuda_built", "torch", "opencv"):
        assert word in printed


@pytest.mark.parametrize("installed", [{"opencv-python-headless"}, {"opencv-python", "opencv-python-headless"}])
def test_info_reports_two_packages_of_opencv(monkeypatch, capsys, installed):
    def distribution(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(info, "distribution", distribution)
    assert main(["info"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == (len(installed) > 1)
    assert all("run 'pip uninstall opencv-python opencv-python-headless'" in line for line in lines)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("arguments", [["--version"], ["info"]])
def test_an_output_that_cannot_be_written_is_one_line(arguments):
    code = f"import sys; from echoseg.cli import main; sys.exit(main({arguments}))"
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (1, "echoseg: No space left on device\n")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes differ on Windows")
def test_a_closed_output_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from echoseg.cli import main; sys.exit(main(['--version']))"
    ended = subprocess.run([sys.executable, "-u", "-c", code], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")
