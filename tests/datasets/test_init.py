from __future__ import annotations

import numpy as np
import pytest

from _folders import write_points_folder
from _masks import ellipse, make_image, save_image, save_nifti
from echoseg.cli import main
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.layouts import LAYOUTS, lay_out


def test_every_layout_can_be_chosen(tmp_path):
    for layout in LAYOUTS:
        assert main(["init", str(tmp_path / layout), "--layout", layout]) == 0
        assert (tmp_path / layout / "README.md").stat().st_size > 500
    with pytest.raises(ValueError, match="use one of echonet, nnunet"):
        lay_out(tmp_path / "new", "nrrd")
    assert main(["init", str(tmp_path / "echonet"), "--layout", "nnunet"]) == 1


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("echonet", "FileList.csv: has a header but no rows"),
        ("nnunet", "labelsTr: is empty; put the masks there, and their images into imagesTr"),
    ],
)
def test_check_reports_missing_data(tmp_path, capsys, layout, message):
    lay_out(tmp_path / "data", layout)
    assert main(["check", str(tmp_path / "data")]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_filled_according_to_its_readme_can_be_read(tmp_path):
    lay_out(tmp_path / "masks", "nnunet")
    for case in ("anna_ED", "anna_ES"):
        save_nifti(tmp_path / f"masks/imagesTr/{case}_0000.nii.gz", make_image(ellipse(12.0)))
        save_nifti(tmp_path / f"masks/labelsTr/{case}.nii.gz", ellipse(12.0))
    save_image(tmp_path / "masks/imagesTr/bert_0000.png", make_image(ellipse(12.0)))
    save_image(tmp_path / "masks/labelsTr/bert.png", ellipse(12.0))
    dataset = read_dataset(tmp_path / "masks")
    assert dataset.faults == ()
    assert [(recording.patient, recording.tracings[0].phase) for recording in dataset.recordings] == [
        ("anna", "ED"),
        ("anna", "ES"),
        ("bert", ""),
    ]

    lay_out(tmp_path / "videos", "echonet")
    other = write_points_folder(tmp_path / "other")
    (tmp_path / "videos/Videos").rmdir()
    (other / "Videos").rename(tmp_path / "videos/Videos")
    with (tmp_path / "videos/FileList.csv").open("a") as file:
        file.write("a,55,40,90,50,p1,TRAIN\nb,,,,,,TEST\n")
    rows = (other / "VolumeTracings.csv").read_text().splitlines()[1:]
    with (tmp_path / "videos/VolumeTracings.csv").open("a") as file:
        file.write("\n".join(rows) + "\n")
    first, second = read_dataset(tmp_path / "videos").recordings
    assert (first.patient, first.split, first.ef) == ("p1", "TRAIN", 55)
    assert second.patient == "b"
    assert np.isnan(second.ef)
