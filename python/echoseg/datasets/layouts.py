"""Empty folders laid out for one's own data, each with a README of what goes where."""

from __future__ import annotations

from pathlib import Path

from echoseg.utils.files import new_folder

_ECHONET = """\
# Videos with traced outlines
- `Videos/`: the videos, `.avi` or `.mp4`.
- `FileList.csv`: one row a video. `FileName` must be filled; `EF`, `ESV`, `EDV` (percent, ml), `FPS`, `PatientId` may
  be empty. `Split` is TRAIN, VAL or TEST, or the number of a fold, or empty in every row: then echoseg splits by
  patient.
- `VolumeTracings.csv`: the outline's points in their order around it, one row each, in pixels from the upper left one's
  centre; `Frame` counts from 0. Two frames a video, end-diastole and end-systole, give an ejection fraction.

Look whether all is well: `echoseg check .` Then train: `echoseg train --data . --out runs/first`
"""

_NNUNET = """\
# Images or volumes with painted masks
- `imagesTr/`: one file a case, `CASE_0000.nii.gz` (or `.mhd`, `.png`): an image, or a volume as a stack of slices.
- `labelsTr/`: its mask, `CASE.nii.gz`, of the same size: whole numbers, 0 outside.
- `imagesTs/`: what has no mask yet; for `echoseg predict`.
- `dataset.json`: what the numbers mean. The ventricle's name must be LV or left ventricle.

Name cases by patient, with phase, view and number behind: `anna_ED`, `anna_4CH_ES`, `anna_slice03` are one patient,
and never stand on both sides of a split.

Look whether all is well: `echoseg check .` Then train: `echoseg train --data . --out runs/first`
"""

_DESCRIPTION = """\
{
 "channel_names": {"0": "image"},
 "labels": {"background": 0, "LV": 1},
 "numTraining": 0,
 "file_ending": ".nii.gz"
}
"""

LAYOUTS: dict[str, dict[str, str | None]] = {
    "echonet": {
        "README.md": _ECHONET,
        "FileList.csv": "FileName,EF,ESV,EDV,FPS,PatientId,Split\n",
        "VolumeTracings.csv": "FileName,X,Y,Frame\n",
        "Videos": None,
    },
    "nnunet": {
        "README.md": _NNUNET,
        "dataset.json": _DESCRIPTION,
        "imagesTr": None,
        "labelsTr": None,
        "imagesTs": None,
    },
}
"""Name → files with their text, folders with None."""


def lay_out(folder: str | Path, layout: str) -> None:
    """Make an empty folder.

    Args:
        folder: Must not exist.
        layout: A name in `LAYOUTS`.

    Raises:
        FileExistsError: `folder` exists.
        ValueError: The layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")
    with new_folder(Path(folder)) as place:
        for name, text in LAYOUTS[layout].items():
            if text is None:
                (place / name).mkdir()
            else:
                (place / name).write_text(text, encoding="utf-8")
