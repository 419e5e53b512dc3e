"""The function behind `echoseg predict`: segments many files, and writes their results."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from tqdm import tqdm

from echoseg.datasets.statement import NOTICE
from echoseg.datasets.structure import LEFT_VENTRICLE
from echoseg.errors import DataError
from echoseg.inference.archive import remove_unfinished, segment_files, unfinished, write_results
from echoseg.inference.input_files import find_input_files
from echoseg.inference.input_statement import input_lines
from echoseg.inference.postprocess import check_steps
from echoseg.inference.predictor import Predictor, load
from echoseg.io.reading import axis3_taken_for
from echoseg.models.weights import weights_folder
from echoseg.report.results import OUTPUTS, write_prediction
from echoseg.training.distributed import ranks_of_torchrun
from echoseg.training.logs import logger

if TYPE_CHECKING:
    from echoseg.models.normalize import NetworkFactory

KEEP = ("masks", "overlay", "frames")
"""The results that `predict_files` writes for each file by default."""
_TIMEOUT = timedelta(days=7)  # for a process that waits for the others to finish their predictions


def predict_files(
    run: str | os.PathLike[str] | None,
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    approach: str = "landmark",
    keep: Collection[str] = KEEP,
    postprocess: Sequence[str] = (),
    thresholds: Sequence[float] = (),
    smooth: bool = True,
    format: str = "csv",
    patients: str | None = None,
    truth: str | os.PathLike[str] | None = None,
    bsa: float | str | os.PathLike[str] | None = None,
    axis3: str | None = None,
    resume: bool = False,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> pd.DataFrame:
    """Segment all frames of many files, and write a table with a row per file and a folder per file.

    Args:
        run: A run, or its folder. None: the network that ships with echoseg.
        paths: Files, or folders, which are searched with their subfolders. The slices of a DICOM series in one folder
            are one input.
        out: The output folder, which must not exist unless `resume` is True.
        approach: "landmark" or "mask", if `run` is None: which of the two networks that ship.
        keep: The results to write for each file, names in `echoseg.report.results.OUTPUTS`; an empty collection writes
            the table only.
        postprocess: Post-processing steps, applied to each prediction in this order; see
            `echoseg.inference.postprocess`.
        thresholds: Thresholds of the mask probabilities, between 0 and 1, mask approach only. Each file gets a page
            that compares the contours, areas and volumes at these thresholds. Empty writes no page.
        smooth: Whether to smooth the contours of cines over time.
        format: The format of the table, "csv" or "parquet".
        patients: A regular expression whose one group is the patient, searched in the name of each file, then in its
            path. None takes the patients of a data set, else the folder or the name of a file.
        truth: A folder with ground truth masks of stacks. None takes a mask beside its stack, or in `labelsTr/` where
            the stack lies in `imagesTr/`.
        bsa: Body surface area of the patient, m², or a CSV file with the columns `patient` and `bsa`. Volumes are
            divided by it.
        axis3: "time" or "slices": what the third axis of volumes is. None decides file by file, by the key "axis3" of a
            `dataset.json` or by the header.
        resume: Whether to continue in `out`. Files with results are skipped.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to `train`.

    Returns:
        A table with a row per file: `file, path, patient, frames, fps, unit, edv, esv, ef, ef_low, ef_high, beats,
        volume, true_volume, volume_mm3, true_volume_mm3, volume_dice, true_edv, true_esv, true_ef, bsa, volume_index,
        review, note, error`. `file` is the name of its folder in `out`. `ef_low` and `ef_high` are the ends of the 90 %
        interval of the EF, nan if they are unknown. `volume` is that of a stack; `true_edv`, `true_esv` and `true_ef`
        are those of a stack over time; `volume_index`, in ml/m², is this volume or the EDV, divided by the body
        surface area. `note` says, for example, that the file looks unlike the training images. `error` is the reason
        why the file could not be segmented; the other files are segmented all the same. Under torchrun, the table is
        empty in all processes but the first. `table.attrs["seconds"]` is the time that this process spent on each task
        and output, by name.

    Raises:
        DataError: The run cannot be used, no file is found, a step is unknown, `patients`, `truth` or `bsa` cannot
            be used, or results cannot be written.
        FileExistsError: `out` exists.
        ValueError: `approach` or `format` is unknown, or `keep` has an unknown name.
    """
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise DataError("format 'parquet' needs another package; pip install 'echoseg[parquet]'")
    if format not in ("csv", "parquet"):
        raise ValueError(f"format: expected csv or parquet, got {format!r}")
    if isinstance(keep, str) or not OUTPUTS.keys() >= set(keep):
        raise ValueError(f"keep: expected some of {', '.join(OUTPUTS)} in a list, got {keep!r}")
    out, keep = Path(out), sorted(set(keep))
    run = weights_folder(approach) if run is None else Path(run)
    with axis3_taken_for(axis3), ranks_of_torchrun(device, patience=_TIMEOUT) as ranks:
        predictor = load(run, device=ranks.device or device, smooth=smooth, network=network)
        check_steps(postprocess, predictor)
        _check_thresholds(thresholds, predictor)
        settings: tuple = (keep, list(postprocess), smooth)
        settings += (list(thresholds),) if thresholds else ()
        settings += (axis3,) if axis3 else ()
        structure = predictor.config.structure
        files = find_input_files(
            [Path(path) for path in paths],
            run,
            settings,
            out=out,
            structure=structure,
            patients=patients,
            truth=None if truth is None else Path(truth),
            bsa=bsa,
        )
        if out.exists() and not resume:
            raise FileExistsError(f"{out}: exists already; choose another name, or resume")
        if ranks.index == 0:
            logger.log(NOTICE, "%s", "\n".join(input_lines(files, structure)))
        ranks.wait()
        out.mkdir(parents=True, exist_ok=True)
        if ranks.index == 0:
            remove_unfinished(out)
        remaining = unfinished(files, out)
        ranks.wait()
        share = remaining[ranks.part(len(remaining))]
        write = None
        if keep or thresholds:
            write = partial(write_prediction, keep=keep, thresholds=thresholds, structure=structure or LEFT_VENTRICLE)
        rows = segment_files(share, predictor, out, write, rank=ranks.index, steps=postprocess, structure=structure)
        seconds: Counter[str] = Counter()
        for row in tqdm(rows, total=len(share), unit="file", disable=True if ranks.index else None):
            seconds.update(row.get("seconds", {}))
        ranks.wait()
        if ranks.index > 0:
            return pd.DataFrame()
        table = write_results(files, out, kind=format)
        table.insert(1, "path", table["file"].map({file.name: str(file.path) for file in files}))
        table.attrs["seconds"] = dict(seconds)
        return table


def _check_thresholds(thresholds: Sequence[float], predictor: Predictor) -> None:
    if thresholds and predictor.config.approach != "mask":
        raise DataError("thresholds: landmark runs have no mask probabilities; use a run of the mask approach")
    for threshold in thresholds:
        if not 0 < threshold < 1:
            raise DataError(f"thresholds: expected numbers between 0 and 1, got {threshold:g}")
