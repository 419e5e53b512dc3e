"""The patients of files to segment, and the statement of what the files were taken for."""

from __future__ import annotations

import json
import math
import ntpath

import nibabel
import numpy as np
import pytest

from _folders import write_folder, write_video
from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.inference.archive import unfinished
from echoseg.inference.input_files import find_input_files
from echoseg.inference.input_statement import input_lines

RULE = "^([a-z]+)-"


@pytest.fixture
def videos(tmp_path):
    for name in ("anna-1", "anna-2", "ben-1"):
        write_video(tmp_path / "videos" / f"{name}.avi", frames=2)
    return tmp_path / "videos"


@pytest.fixture(autouse=True)
def folder_of_videos(tmp_path):
    (tmp_path / "videos").mkdir()


def find(folder, **options):
    return find_input_files([folder], folder / "no run", None, out=folder / "out", **options)


def patients(files):
    return {file.name: file.patient for file in files}


def test_a_rule_finds_the_patients(videos):
    assert patients(find(videos)) == {"anna-1": "anna-1", "anna-2": "anna-2", "ben-1": "ben-1"}
    files = find(videos, patients=RULE)
    assert patients(files) == {"anna-1": "anna", "anna-2": "anna", "ben-1": "ben"}
    line = next(line for line in input_lines(files, None) if line.startswith("patients:"))
    assert line == (
        "patients: 2, by the rule ^([a-z]+)- (--patients); for example anna: anna-1.avi, anna-2.avi; ben: ben-1.avi"
        " (change by --patients REGEX)"
    )


def test_a_rule_is_searched_in_the_path_too_and_may_stand_in_dataset_json(videos):
    (videos / "p7").mkdir()
    (videos / "ben-1.avi").rename(videos / "p7" / "b.avi")
    (videos / "dataset.json").write_text(json.dumps({"patients": "(p[0-9]+|^anna)"}))
    assert patients(find(videos)) == {"anna-1": "anna", "anna-2": "anna", "p7/b": "p7"}


def test_a_rule_decides_before_a_data_set(tmp_path):
    data = write_folder(tmp_path / "data")
    listed = patients(find(data))
    assert set(listed) == {"Videos/a", "Videos/b", "Videos/c"}
    assert patients(find(data, patients="([abc])[.]avi")) == {"Videos/a": "a", "Videos/b": "b", "Videos/c": "c"}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("(", "is not a regular expression"),
        ("anna", "has 0 groups, expected one in parentheses"),
        ("^(anna)", r"ben-1\.avi: no patient by the rule"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(videos, rule, message):
    with pytest.raises(DataError, match=message):
        find(videos, patients=rule)


@pytest.mark.parametrize(
    ("text", "message"),
    [('{"patients": ', r"dataset\.json:1:14: invalid JSON"), ('{"patients": "("}', r"is not a regular expression")],
)
def test_what_a_data_set_lists_is_not_dropped_for_a_broken_description(tmp_path, text, message):
    first, second = (write_folder(tmp_path / name, ("a",)) for name in ("first", "second"))
    (second / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=message):
        find(second, patients="(.)")
    with pytest.raises(DataError, match=message):
        find_input_files([first, second], tmp_path / "no run", None, out=tmp_path / "out")


def test_areas_of_bodies_are_those_of_the_patients_of_the_rule(videos, tmp_path):
    (tmp_path / "bsa.csv").write_text("patient,bsa\nanna,1.5\nben,2\n")
    files = find(videos, patients=RULE, bsa=tmp_path / "bsa.csv")
    assert [file.bsa for file in files] == [1.5, 1.5, 2]


def test_results_of_another_patient_are_made_again(videos):
    before, after = find(videos), find(videos, patients=RULE)
    assert [file.key for file in before] != [file.key for file in after]
    assert unfinished(after, videos) == after


def test_the_flag_is_known_to_the_command(videos, tmp_path, capsys):
    assert main(["predict", str(videos), "--patients", "(", "--out", str(tmp_path / "out")]) == 1
    assert "patients" in capsys.readouterr().err


def test_the_axes_of_volumes_are_stated(tmp_path):
    folder = tmp_path / "videos"
    shapes = {"a": (32, 24, 5), "b": (32, 24, 5, 7), "c": (32, 24, 1, 7), "d": (32, 24, 1), "e": (32, 24, 6)}
    for name, shape in shapes.items():
        affine = np.diag([-1.4, -1.4, 1 if name == "e" else 8, 1.0])
        affine[:3, 3] = 0 if name == "e" else 9
        nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine), folder / f"{name}.nii")
    (folder / "f.nii").write_bytes(b"no volume")
    files = find(folder)
    assert not any(math.isfinite(file.bsa) for file in files)
    assert (
        "axes of volumes, by their headers: films 1, images 1, stacks of slices 2, stacks over time 1; 1 of them"
        " guessed (change by --axis3)"
    ) in input_lines(files, None)


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("Scan.avi", "scan.mp4"), ["Scan.avi", "scan.mp4"]),
        (("Scan.avi", "scan/a.mp4"), ["Scan.avi", "scan/a.mp4"]),
        (("Scan.avi", "scan2.mp4"), ["Scan", "scan2"]),
    ],
)
def test_results_have_names_that_differ_in_more_than_case(files, names, tmp_path):
    for name in files:
        (tmp_path / "videos" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "videos" / name).touch()
    assert [file.name for file in find(tmp_path / "videos")] == names


def test_inputs_on_different_drives_are_refused(tmp_path, monkeypatch):
    def commonpath(paths):
        return ntpath.commonpath([f"{letter}:\\" for letter, _ in zip("CD", paths, strict=True)])

    inputs = [tmp_path / "a.avi", tmp_path / "b.avi"]
    for path in inputs:
        path.touch()
    monkeypatch.setattr("os.path.commonpath", commonpath)
    with pytest.raises(DataError, match="different drives"):
        find_input_files(inputs, tmp_path / "no run", None, out=tmp_path / "out")


@pytest.mark.parametrize(
    "files",
    [
        ("config.yaml", "model.safetensors", "figures/loss.png"),
        ("masks.tif", "frames.csv", "png/0000.png"),
        ("mask.nii.gz", "slices.csv", "overlay.avi"),
    ],
)
def test_what_echoseg_wrote_is_no_input_unless_it_is_named(videos, files):
    for name in files:
        (videos / "written" / name).parent.mkdir(parents=True, exist_ok=True)
        (videos / "written" / name).write_bytes(b"content")
    assert len(find(videos)) == 3
    assert find(videos / "written")
    (videos / "written" / files[1]).unlink()
    assert len(find(videos)) > 3


def test_copies_that_were_learned_from_are_no_inputs(videos):
    for folder in ("own-learned-1/data/Videos", "own-learned-2"):
        (videos / folder).mkdir(parents=True)
        write_video(videos / folder / "a.avi", frames=2)
    assert {file.name for file in find(videos)} == {"anna-1", "anna-2", "ben-1", "own-learned-2/a"}


def test_a_uid_has_no_suffix(tmp_path):
    folder = tmp_path / "videos"
    names = ["1.2.840.113.5", "1.2.840.113.6"]
    for name in names:
        (folder / name).write_bytes(bytes(128) + b"DICM")
    files = find(folder)
    assert [file.name for file in files] == names
    assert len({file.patient for file in files}) == 2
    assert "2 without suffix" in input_lines(files, None)[0]


def test_without_volumes_no_axes_are_stated(videos):
    assert not any("axes" in line for line in input_lines(find(videos), None))
