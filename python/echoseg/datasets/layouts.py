"""Empty data set folders for a user's own data, each with a README that explains the files."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from echoseg.utils.files import new_folder

_ECHONET = """\
# Videos with traced contours
- `Videos/`: the videos, `.avi` or `.mp4`.
- `FileList.csv`: one row per video. `FileName` is required; `EF`, `ESV`, `EDV` (percent, ml), `FPS` and `PatientId` may
  be empty. `Split` is TRAIN, VAL or TEST, or a fold number, or empty in all rows: then echoseg splits by patient.
- `VolumeTracings.csv`: the points of each contour in order, one row per point, in pixels; (0, 0) is the centre of the
  upper left pixel. `Frame` counts from 0. Two frames per video, end-diastole and end-systole, give an ejection
  fraction.

Check the data: `echoseg check .{flag}` Then train: `echoseg train --data .{flag} --out runs/first`
"""

_NNUNET = """\
# Images or volumes with masks
- `imagesTr/`: one file per case, `CASE_0000.nii.gz` (or `.mhd`, `.png`): an image, or a volume as a stack of slices.
- `labelsTr/`: the mask of each case, `CASE.nii.gz`, of the same size: integers, 0 is background.
- `imagesTs/`: images without a mask, for `echoseg predict`.
- `dataset.json`: the names of the labels, here only {label}. If the masks have more of them, name them all there, and
  choose one by `--structure NAME` of `check`, `prepare` and `train`; without it, the one that is named LV is taken.

Start the name of a case with the patient, followed by phase, view or number: `anna_ED`, `anna_4CH_ES` and
`anna_slice03` belong to one patient, and always to the same split.

Check the data: `echoseg check .` Then train: `echoseg train --data . --out runs/first`
"""

_DESCRIPTION = """\
{{
 "channel_names": {{"0": "image"}},
 "labels": {{"background": 0, {label}: 1}},
 "numTraining": 0,
 "file_ending": ".nii.gz"
}}
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
"""Layout name → the text of each file, with the places {flag} and {label}; None for folders."""


def lay_out(folder: str | Path, layout: str, *, structure: str | None = None) -> None:
    """Make an empty data set folder.

    Args:
        folder: The folder to make; it must not exist.
        layout: A name in `LAYOUTS`.
        structure: The name of what is traced; None: the left ventricle.

    Raises:
        FileExistsError: `folder` exists.
        ValueError: The layout is unknown.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; use one of {', '.join(LAYOUTS)}")
    flag = "" if structure is None else f" --structure {shlex.quote(structure)}"
    label = json.dumps(structure or "LV", ensure_ascii=False)
    with new_folder(Path(folder)) as temporary:
        for name, text in LAYOUTS[layout].items():
            if text is None:
                (temporary / name).mkdir()
            else:
                (temporary / name).write_text(text.format(flag=flag, label=label), encoding="utf-8")
