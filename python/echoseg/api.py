"""The functions that train, evaluate and compare, with the behaviour of the commands of the same names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from echoseg.datasets.corrections import corrections_file
from echoseg.datasets.recording import describe_faults
from echoseg.datasets.store import Store, prepare
from echoseg.datasets.structure import LEFT_VENTRICLE, is_same_structure
from echoseg.errors import DataError
from echoseg.evaluation.calibrate import calibrate
from echoseg.evaluation.comparison import compare_methods
from echoseg.evaluation.comparison_cases import choose_cases, load_compared_runs
from echoseg.evaluation.cross_validation import cross_validate
from echoseg.evaluation.evaluate import evaluate as evaluate_split
from echoseg.evaluation.protocols import apply_protocol
from echoseg.evaluation.run_data import load_run_data
from echoseg.inference.postprocess import check_steps
from echoseg.inference.predictor import load
from echoseg.phantom.cached import cached_phantom
from echoseg.report.comparison import write_comparison
from echoseg.report.protocol_table import protocol_markdown
from echoseg.report.results import write_attention, write_evaluation, write_run
from echoseg.training.checkpoint import CONFIG
from echoseg.training.config import PHANTOM, Config
from echoseg.training.config_file import load_config
from echoseg.training.distributed import Ranks, ranks_of_torchrun
from echoseg.training.logs import logger
from echoseg.training.loop import train as run_training
from echoseg.training.splits import NO_TEST
from echoseg.utils.files import new_folder, replace_file

if TYPE_CHECKING:
    from echoseg.models.normalize import NetworkFactory
    from echoseg.training.augment import AugmentFunction
    from echoseg.training.custom import Callback, LossFunction


@dataclass(frozen=True)
class Run:
    """A finished training. It can be passed to functions that expect the path of a run folder.

    Attributes:
        path: The run folder.
        config: The settings of the training, including those that were chosen automatically.
        metrics: The content of `metrics.json`: the measures by name for each evaluated split.
    """

    path: Path
    config: Config
    metrics: dict[str, dict[str, Any]]

    def __fspath__(self) -> str:
        return str(self.path)


def train(
    data: str | os.PathLike[str] | Store | None = None,
    *,
    approach: str | None = None,
    out: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | Config | None = None,
    resume: bool = False,
    strict: bool = False,
    network: NetworkFactory | str | None = None,
    loss: LossFunction | None = None,
    augment: AugmentFunction | None = None,
    on_epoch: Callback | None = None,
    on_step: Callback | None = None,
    **settings: Any,
) -> Run:
    """Train a network on tracings, evaluate it on the test split, and write a run folder.

    Args:
        data: A data set in a format that echoseg reads, or a store. None uses a synthetic data set.
        approach: "landmark" or "mask"; None takes that of `config`, else that of a preset, else "landmark".
        out: The run folder to write, which must not exist; None uses the next free `runs/APPROACH-N`.
        config: A YAML file with settings, which are overridden by `approach` and `**settings`; or a complete
            configuration, with which neither `data`, `approach` nor `**settings` may be given.
        resume: Whether to continue the run in `out` with its settings, from the last saved state. On the CPU the result
            equals that of an uninterrupted training bit for bit.
        strict: Whether to raise an error if parts of the data set cannot be used, instead of leaving them out.
        network: The name of a network, as in the settings; or a function that makes a network for a number of output
            channels, to be used in place of the U-Net. The network maps normalized frames, (N, 1, H, W) float32, to
            logits, (N, channels, H, W). To resume a run, pass the same `network`, `loss` and `augment` again.
        loss: A function that maps logits and targets, (N, channels, H, W) float32 each, to a scalar, to be used in
            place of the loss in the settings.
        augment: A function of frames, (N, H, W) uint8, points, (N, P, 2) float32, pixels, and a
            `numpy.random.Generator`. It returns the transformed frames and points, and is used in place of the
            augmentation of echoseg.
        on_epoch: A function that is called with an `echoseg.training.logs.TrainingEvent` after each epoch.
        on_step: A function that is called with an `echoseg.training.logs.TrainingEvent` after each step.
        **settings: Fields of `echoseg.training.config.Config`, such as `epochs=20`, `seed=1` or `device="cuda"`. With
            `folds=K`, K networks are trained, each of which is tested on other patients; the run is their ensemble.

    Returns:
        The run.

    Raises:
        DataError: A setting or the data cannot be used, or there is no run to resume, or the run is damaged.
        FileExistsError: `out` exists and `resume` is False.
        ValueError: `resume` is True and `out` is None, or data, an approach or settings are given beside a run to
            resume or beside a complete configuration.
    """
    if isinstance(network, str):
        settings["network"], network = network, None
    if approach is not None:
        settings["approach"] = approach
    if (resume or isinstance(config, Config)) and (data is not None or settings):
        raise ValueError("a run that is resumed, and a complete configuration, take no data and no settings")
    if resume:
        if out is None:
            raise ValueError("resume needs out, the run folder to continue in")
        if not (Path(out) / CONFIG).is_file():
            raise DataError(f"{out}: no run to resume ({CONFIG} is missing); train one without resume")
        config = load_config(Path(out) / CONFIG)
    elif not isinstance(config, Config):
        overrides = settings if data is None else {**settings, "data": str(_folder_of(data))}
        config = load_config(None if config is None else Path(config), **overrides)
    if out is not None and Path(out).exists() and not resume:
        raise FileExistsError(f"{out}: exists already; choose another folder, or resume the run in it")
    with ranks_of_torchrun(config.device) as ranks:
        if ranks.count > 1 and out is None:
            raise DataError("under torchrun, all processes need the same run folder; set it with --out")
        folder = _free_folder(config.approach) if out is None else Path(out)
        store, trained, rehearsed = _prepare(config, strict, ranks)
        finish = partial(_finish_run, store=store, network=network)
        options: dict[str, Any] = {"resume": resume, "ranks": ranks, "rehearsed": rehearsed, "network": network}
        options |= {"loss": loss, "augment": augment, "on_epoch": on_epoch, "on_step": on_step}
        if config.folds is not None:
            config, pooled = cross_validate(config, store, folder, trained=trained, finish=finish, **options)
            if pooled is not None:
                write_evaluation(pooled, store, "test", folder)
        else:
            config = run_training(config, trained, folder, **options)
            if ranks.index == 0:
                finish(folder, config)
    path = folder / "metrics.json"
    return Run(folder, config, json.loads(path.read_text(encoding="utf-8")) if ranks.index == 0 else {})


def evaluate(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str] | Store | None = None,
    split: str = "test",
    *,
    out: str | os.PathLike[str] | None = None,
    postprocess: Sequence[str] = (),
    whole_videos: bool = False,
    blanks: bool = False,
    protocol: str | None = None,
    device: str = "auto",
    network: NetworkFactory | None = None,
) -> dict[str, Any]:
    """Evaluate a run on one split of a data set, and write tables and figures.

    Args:
        run: A run, or its folder.
        data: A data set or a store; None uses the data that the run was trained on.
        split: "train", "val", "test" or "all".
        out: The folder to write, which must not exist; None writes to the run folder.
        postprocess: Post-processing steps, applied to each prediction in this order; see
            `echoseg.inference.postprocess`.
        whole_videos: Whether to predict also all frames of the split's videos, for EF by detected heart beats.
        blanks: Whether the measures of blank slices of stacks are averaged with those of the other images. A blank
            slice has a Dice of 1 if the prediction is empty, else of 0.
        protocol: "echonet", "camus" or "sunnybrook": measure also as the papers about this benchmark do, and write a
            page with published results beside it, `protocol_NAME_SPLIT.md`.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        network: The function that makes the network, if one was passed to `train`.

    Returns:
        The measures by name, which are the split's entry of `metrics.json`.

    Raises:
        DataError: The run or the data cannot be used, the data have no image in this split, or the protocol is unknown.
        FileExistsError: `out` exists.
    """
    check_steps(postprocess)
    run_data = load_run_data(run, data, device=device, network=network)
    log_faults(run_data.store)
    with new_folder(Path(out)) if out else nullcontext(Path(run)) as target:
        evaluation = run_data.evaluate(split, steps=postprocess, whole_videos=whole_videos, blanks=blanks)
        if protocol is not None:
            entry = apply_protocol(protocol, evaluation, run_data.store, split, steps=postprocess)
            evaluation.summary["protocol"] = entry
        evaluation.summary["own_data"] = run_data.is_own
        write_evaluation(evaluation, run_data.store, split, target)
        if protocol is not None:
            page = partial(Path.write_text, data=protocol_markdown(entry), encoding="utf-8")
            replace_file(target / f"protocol_{protocol}_{split}.md", page)
        write_attention(run_data.predictor, evaluation, run_data.store, split, target)
    return evaluation.summary


def compare(
    runs: Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str] | Store | None = None,
    split: str = "test",
    *,
    masks: Mapping[str, str | os.PathLike[str]] | None = None,
    out: str | os.PathLike[str],
    films: int = 0,
    device: str = "auto",
) -> pd.DataFrame:
    """Compare runs, and masks that other tools predicted, on the same images, and write tables and figures.

    The images are those of a split of the first run. Images of patients that one of the runs was trained or validated
    on are left out, with a warning. A cross-validation predicts its own data by the folds that were not trained on
    them. Everything is measured in the pixels of the original frames.

    Args:
        runs: Runs, or their folders. The other methods are compared with the first one.
        data: A data set or a store; None uses the data that the first run was trained on.
        split: "train", "val", "test" or "all".
        masks: Folders of masks by the name of the tool that predicted them. They are found by the names of the images:
            see `echoseg.evaluation.mask_folder`.
        out: The folder to write, which must not exist.
        films: The number of videos of which films with all runs side by side are written: those in which the methods
            differ most.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Returns:
        A table with a row per measure and method: `measure` ("dice", "nsd", "hd95", "assd" or "ef_error"), `unit`,
        `method`, `cases`, `patients`, `mean`, `low` and `high`, the ends of its 95 % interval; and compared with the
        first run, `difference`, `difference_low`, `difference_high`, `p` (Wilcoxon's signed-rank test of the patients'
        mean differences), `p_holm` (corrected for the number of methods), and `better`, `equal` and `worse`, numbers of
        cases.

    Raises:
        DataError: A run, the data or a mask cannot be used, a mask is missing, a name in `masks` is that of a run, or
            no image is fair to all runs.
        FileExistsError: `out` exists.
        ValueError: There are fewer than two methods.
    """
    folders = {name: Path(folder) for name, folder in (masks or {}).items()}
    if not runs or len(runs) + len(folders) < 2:
        raise ValueError("a comparison needs a run, and another run or a folder of masks")
    compared = load_compared_runs(runs, data, device=device)
    if repeated := {run.name for run in compared} & folders.keys():
        raise DataError(f"masks: {min(repeated)!r} is the name of a run; give another name")
    for store in {run.data.store.path: run.data.store for run in compared}.values():
        log_faults(store)
    with new_folder(Path(out)) as folder:
        cases = choose_cases(compared, split)
        for note in cases.notes:
            logger.warning("%s", note)
        comparison = compare_methods(compared, folders, cases, split)
        write_comparison(comparison, compared, folder, films=films)
    return comparison.table


def log_faults(store: Store) -> None:
    """Log a warning about the parts of a data set that a store leaves out."""
    if store.faults:
        logger.warning(describe_faults(store.faults))


def _prepare(config: Config, strict: bool, ranks: Ranks) -> tuple[Store, Store, Store | None]:
    """The store of the data set, the store to train on, in which corrections replace tracings, and that to rehearse."""
    if ranks.index > 0:  # the first process prepares the store, which the others then load
        ranks.wait()
    if config.corrections:
        corrections_file(config.corrections)  # before hours of decoding
    if config.data is None and config.structure and not is_same_structure(config.structure, LEFT_VENTRICLE):
        raise DataError(
            f"structure {config.structure!r}: there are no data, and the synthetic images show the {LEFT_VENTRICLE}; "
            "give data, or leave out structure"
        )
    folder = config.data or cached_phantom(size=config.size, ordering=config.ordering)
    store = trained = prepare(folder, strict=strict, **config.store_options)
    if config.corrections:
        trained = prepare(folder, strict=strict, corrections=config.corrections, **config.store_options)
    rehearsed = None
    if config.rehearse is not None:
        options, earlier = config.store_options | {"axis3": None, "patients": None}, Path(config.rehearse)
        if config.rehearse == PHANTOM:
            earlier = cached_phantom(size=config.size, ordering=config.ordering)
            options["structure"] = None  # a phantom's own, whatever is trained
        rehearsed = prepare(earlier, **options)
    if ranks.index == 0:
        log_faults(trained)
        ranks.wait()
    return store, trained, rehearsed


def _finish_run(folder: Path, config: Config, *, store: Store, network: NetworkFactory | None) -> None:
    """Calibrate and test a trained run, and write its results."""
    calibrate(folder, store, device=config.device, network=network)
    predictor = load(folder, device=config.device, network=network)
    splits = [] if config.test_fold == NO_TEST else ["test"]
    write_run(folder, store, predictor, {split: evaluate_split(predictor, store, split) for split in splits})


def _folder_of(data: str | os.PathLike[str] | Store) -> Path:
    return data.path if isinstance(data, Store) else Path(data)


def _free_folder(approach: str) -> Path:
    number = 1
    while (folder := Path("runs") / f"{approach}-{number}").exists():
        number += 1
    return folder
