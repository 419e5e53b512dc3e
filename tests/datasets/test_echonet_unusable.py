"""Folders in EchoNet's format that cannot be used at all."""

from __future__ import annotations

import shutil

import pytest

from _folders import edit_lines
from echoseg.datasets.echonet import read_echonet
from echoseg.errors import DataError

LIST, TRACINGS = "FileList.csv", "VolumeTracings.csv"


def change_header(folder, table, text):
    edit_lines(folder / table, lambda lines: lines.__setitem__(0, text))


UNUSABLE = {
    "folder": (lambda f: shutil.rmtree(f), ["no such folder", "FileList.csv"]),
    "file list": (lambda f: (f / LIST).unlink(), ["FileList.csv: missing", "give a folder"]),
    "tracings": (lambda f: (f / TRACINGS).unlink(), ["VolumeTracings.csv: missing"]),
    "videos": (lambda f: shutil.rmtree(f / "Videos"), ["Videos: no such folder"]),
    "a folder instead of a file": (
        lambda f: [(f / LIST).unlink(), (f / LIST).mkdir()],
        ["FileList.csv: cannot be read"],
    ),
    "empty file": (lambda f: (f / LIST).write_text(""), ["FileList.csv: is empty", "FileName"]),
    "only blank lines": (lambda f: (f / LIST).write_text("\n \n"), ["FileList.csv: is empty"]),
    "header only": (lambda f: (f / TRACINGS).write_text("FileName,X,Y,Frame\n"), ["no rows"]),
    "no FileName": (
        lambda f: change_header(f, LIST, "Name,EF"),
        ["FileList.csv:1: no column FileName", "found Name,EF"],
    ),
    "no Frame": (
        lambda f: change_header(f, TRACINGS, "FileName,X1,Y1,X2,Y2,Image"),
        [
            "VolumeTracings.csv:1: no column Frame",
            "found FileName,X1",
            "FileName,X1,Y1,X2,Y2,Frame or FileName,X,Y,Frame",
        ],
    ),
    "semicolons": (lambda f: change_header(f, TRACINGS, "FileName;X;Y;Frame"), ["nothing usable"]),
    "column twice": (
        lambda f: change_header(f, TRACINGS, "FileName,X1,X1,Y1,X2,Y2,Frame"),
        ["VolumeTracings.csv:1:X1: the column appears twice"],
    ),
    "utf-16": (lambda f: (f / LIST).write_bytes("FileName\na\n".encode("utf-16")[:-1]), ["damaged UTF-16", "UTF-8"]),
    "nothing usable": (
        lambda f: (f / LIST).write_text("FileName\nz\ny\n"),
        [
            "contains nothing usable",
            "FileList.csv:2:FileName: Videos/ has no video 'z'; copy it there or remove the row (fault 1 of 5)",
        ],
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_folder_is_refused_with_a_one_line_message(folder, case):
    damage, parts = UNUSABLE[case]
    damage(folder)
    with pytest.raises(DataError) as caught:
        read_echonet(folder)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
