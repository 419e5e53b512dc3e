"""Train, evaluate and predict in one call each, as the commands of the same names do."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm

from echoseg.datasets.recording import describe_faults
from echoseg.datasets.store import Store, prepare
from echoseg.errors import DataError
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.evaluate import evaluate as evaluate_split
from echoseg.evaluation.run_data import load_run_data
from echoseg.inference.archive import find_input_files, remove_unfinished, segment_files, unfinished, write_results
from echoseg.inference.postprocess import check_steps
from echoseg.inference.predictor import load
from echoseg.phantom.cached import cached_phantom
from echoseg.report.figures import curves_figure
from echoseg.report.results import write_attention, write_evaluation, write_prediction
from echoseg.training.checkpoint import CONFIG
from echoseg.training.config import Config, load_config
from echoseg.training.distributed import Ranks, ranks_of_torchrun
from echoseg.training.logs import logger
from echoseg.training.loop import train as run_training
from echoseg.utils.files import new_folder

if TYPE_CHECKING:
    from echoseg.models.normalize import NetworkFactory
    from echoseg.training.augment import AugmentFunction
    from echoseg.training.custom import Callback, LossFunction

KEEP = ("masks", "overlay", "frames")
_PATIENCE = timedelta(days=7)  # how long one process waits for another that still predicts


@dataclass(frozen=True)
class Run:
    """A finished training. It can be given wherever the path of a run folder is expected.

    Attributes:
        path: The run folder.
        config: The settings, with those chosen that were left open.
        metrics: The content of `metrics.json`: for each split that was evaluated, its measures by name.
    """

    path: Path
    config: Config
    metrics: dict[str, dict[str, Any]]

    def __fspath__(self) -> str:
        return str(self.path)


def train(
    data: str | os.PathLike[str] | Store | None = None,
    *,
    approach: str = "landmark",
    out: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | Config | None = None,
    resume: bool = False,
    strict: bool = False,
    network: NetworkFactory | None = None,
    loss: LossFunction | None = None,
    augment: AugmentFunction | None = None,
    on_epoch: Callback | None = None,
    on_step: Callback | None = None,
    **settings: Any,
) -> Run:
    """Train a network on tracings, measure it on the test split, and leave a run folder.

    Args:
        data: A data set of any format that echoseg reads, or a store. None takes a synthetic data set.
        approach: "landmark" or "mask".
        out: The run folder to write, which must not exist; None takes the next free `runs/APPROACH-N`.
        config: A YAML file with settings, which those given here override; or a complete configuration, beside which
            `data`, `approach` and settings have no effect.
        resume: Whether to continue the run in `out` with its own settings, from where it was last saved. On the CPU the
            result equals that of an uninterrupted training bit for bit.
        strict: Whether to refuse a data set in which something cannot be used, instead of leaving that out.
        network: A function that makes the network for a number of output channels, in place of the U-Net: (N, 1, H, W)
            float32 normalized frames → (N, channels, H, W) logits. To resume the run, give the same function again;
            likewise the next two.
        loss: A function of (N, channels, H, W) float32 logits and targets that returns a scalar, in place of the loss
            that the settings name.
        augment: A function of (N, H, W) uint8 frames, (N, P, 2) float32 points in pixels and a
            `numpy.random.Generator` that returns both, moved alike, in place of echoseg's augmentation.
        on_epoch: Called after each epoch with an `echoseg.training.logs.TrainingEvent`.
        on_step: Called after each step, likewise.
        **settings: Fields of `echoseg.training.config.Config`, such as `epochs=20`, `seed=1` or `device="cuda"`.

    Returns:
        The run.

    Raises:
        DataError: A setting or the data cannot be used, there is no run to resume, or it is damaged.
        FileExistsError: `out` exists, and `resume` is False.
        ValueError: `resume` without `out`.
    """
    if resume:
        if out is None:
            raise ValueError("resume needs out, the run folder to continue in")
        config = load_config(Path(out) / CONFIG)
    elif not isinstance(config, Config):
        given = settings if data is None else {**settings, "data": str(_folder_of(data))}
        config = load_config(None if config is None else Path(config), approach=approach, **given)
    if out is not None and Path(out).exists() and not resume:
        raise FileExistsError(f"{out}: exists already; choose another folder, or resume the run in it")
    with ranks_of_torchrun(config.device) as ranks:
        if ranks.count > 1 and out is None:
            raise DataError("under torchrun, all processes need the same run folder; name it by --out")
        folder = _free_folder(config.approach) if out is None else Path(out)
        store, trained = _prepare(config, strict, ranks)
        config = run_training(
            config,
            trained,
            folder,
            resume=resume,
            ranks=ranks,
            network=network,
            loss=loss,
            augment=augment,
            on_epoch=on_epoch,
            on_step=on_step,
        )
        return Run(folder, config, _evaluate_run(folder, store, config, network) if ranks.index == 0 else {})


def evaluate(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | Store | None = None,
    split: str = "test",
    *,
    out: str | os.PathLike[str] | None = None,
    postprocess: Sequence[str] = (),
    whole_videos: bool = False,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> dict[str, Any]:
    """Measure a run on one split of a data set, and write tables and figures.

    Args:
        run: A run, or its folder.
        data: A data set or a store; None takes the data that the run was trained on.
        split: "train", "val", "test" or "all".
        out: The folder to write, which must not exist; None adds to the run folder.
        postprocess: Steps to apply to each prediction, in this order; see `echoseg.inference.postprocess`.
        whole_videos: Whether to predict every frame of the split's videos too, for EF by heart beats.
        device: "auto", "cpu", "cuda" or "cuda:N".
        network: The function that made the network, where `train` was given one.

    Returns:
        The split's entry of `metrics.json`: measures by name.

    Raises:
        DataError: The run or the data cannot be used, or the data have no image in this split.
        FileExistsError: `out` exists.
    """
    check_steps(postprocess)
    measured = load_run_data(run, data, device=device, network=network)
    log_faults(measured.store)
    with new_folder(Path(out)) if out else nullcontext(Path(run)) as folder:
        evaluation = measured.evaluate(split, steps=postprocess, whole_videos=whole_videos)
        write_evaluation(evaluation, measured.store, split, folder)
        write_attention(measured.predictor, evaluation, measured.store, split, folder)
    return evaluation.summary


def predict_files(
    run: str | os.PathLike[str],
    paths: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    keep: Collection[str] = KEEP,
    postprocess: Sequence[str] = (),
    regularize: bool = True,
    format: str = "csv",
    resume: bool = False,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> pd.DataFrame:
    """Segment every frame of many files, and write a table with a row a file and a folder a file.

    Args:
        run: A run, or its folder.
        paths: Files, or folders, which are searched with their subfolders.
        out: The folder to write; it must not exist, unless `resume`.
        keep: What to write for each file, names of `echoseg.report.results.OUTPUTS`; empty writes the table only.
        postprocess: Steps to apply to each prediction, in this order; see `echoseg.inference.postprocess`.
        regularize: Whether to change contours of implausible shape to plausible ones.
        format: "csv" or "parquet".
        resume: Whether to continue in `out`; files that have results there are skipped.
        device: "auto", "cpu", "cuda" or "cuda:N".
        network: The function that made the network, where `train` was given one.

    Returns:
        A row a file: `file, path, frames, fps, unit, edv, esv, ef, beats, volume, review, note, error`. `file` names
        its folder in `out`; `error` says why it could not be segmented, which stops no other file.

    Raises:
        DataError: The run cannot be used, no file is found, a step is unknown, or results cannot be written.
        FileExistsError: `out` exists.
    """
    if format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise DataError("format 'parquet' needs another package; pip install 'echoseg[parquet]'")
    out, keep = Path(out), sorted(set(keep))
    with ranks_of_torchrun(device, patience=_PATIENCE) as ranks:
        predictor = load(run, device=ranks.device or device, regularize=regularize, network=network)
        check_steps(postprocess, predictor)
        settings = (keep, list(postprocess), regularize)
        files = find_input_files([Path(path) for path in paths], Path(run), settings, out=out)
        if out.exists() and not resume:
            raise FileExistsError(f"{out}: exists already; choose another name, or resume")
        ranks.wait()
        out.mkdir(parents=True, exist_ok=True)
        if ranks.index == 0:
            remove_unfinished(out)
        left = unfinished(files, out)
        ranks.wait()
        share = left[ranks.part(len(left))]
        write = partial(write_prediction, keep=keep) if keep else None
        rows = segment_files(share, predictor, out, write, rank=ranks.index, steps=postprocess)
        for _ in tqdm(rows, total=len(share), unit="file", disable=True if ranks.index else None):
            pass
        ranks.wait()
        if ranks.index > 0:
            return pd.DataFrame()
        table = write_results(files, out, kind=format)
        table.insert(1, "path", table["file"].map({file.name: str(file.path) for file in files}))
        return table


def log_faults(store: Store) -> None:
    """Log what a store leaves out of its data set as a warning."""
    if store.faults:
        logger.warning(describe_faults(store.faults))


def _prepare(config: Config, strict: bool, ranks: Ranks) -> tuple[Store, Store]:
    """The data set's store, and the one to train on, in which corrections have replaced tracings."""
    if ranks.index > 0:  # the first process prepares, the others find what it made
        ranks.wait()
    folder = config.data or cached_phantom()
    store = trained = prepare(folder, strict=strict, **config.store_options)
    if config.corrections:
        trained = prepare(folder, strict=strict, corrections=config.corrections, **config.store_options)
    if ranks.index == 0:
        log_faults(trained)
        ranks.wait()
    return store, trained


def _evaluate_run(folder: Path, store: Store, config: Config, network: NetworkFactory | None) -> dict[str, Any]:
    calibrate(folder, store, device=config.device, network=network)
    predictor = load(folder, device=config.device, network=network)
    evaluation = evaluate_split(predictor, store, "test")
    write_evaluation(evaluation, store, "test", folder)
    write_attention(predictor, evaluation, store, "test", folder)
    curves_figure(pd.read_csv(folder / "log.csv"), folder / "figures" / "curves.png")
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def _folder_of(data: str | os.PathLike[str] | Store) -> Path:
    return data.path if isinstance(data, Store) else Path(data)


def _free_folder(approach: str) -> Path:
    number = 1
    while (folder := Path("runs") / f"{approach}-{number}").exists():
        number += 1
    return folder
