"""Cross-validation by patient: a run for each fold, their pooled test, and the ensemble of their networks.

The folder of a cross-validation is a run whose network is the ensemble. Its calibration comes from the errors of each
fold on its test patients, whom its network had not seen. A single network errs more than the ensemble, so the intervals
of the ensemble are rather too wide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from echoseg.datasets.statement import NOTICE
from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.evaluation.calibrate import landmark_errors, predicted_efs, save_ef_intervals, save_image_domain
from echoseg.evaluation.evaluate import Evaluation, evaluate
from echoseg.evaluation.observers import observer_agreement
from echoseg.evaluation.pooled import pool_evaluations
from echoseg.geometry.shape import fit_shapes
from echoseg.inference.predictor import CALIBRATION, SHAPES, load
from echoseg.metrics.calibration import fit_calibration
from echoseg.models.ensemble import Ensemble
from echoseg.models.normalize import NetworkFactory
from echoseg.training import checkpoint
from echoseg.training.batch_size import scale_learning_rate
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.devices import choose_device
from echoseg.training.distributed import Ranks
from echoseg.training.logs import logger
from echoseg.training.loop import train
from echoseg.training.plan import PLAN, Plan, make_plan
from echoseg.training.run_files import save_environment
from echoseg.training.splits import split_folds
from echoseg.training.training_sets import fingerprint
from echoseg.utils.files import TEMPORARY_FOLDERS, new_folder, remove_abandoned, replace_file

FinishRun = Callable[[Path, Config], object]
"""Calibrates and tests the run of a fold, and writes its results into its folder."""


@dataclass(frozen=True)
class _Fold:
    """A fold's run folder, its settings, and how far it had come."""

    run: Path
    config: Config
    has_begun: bool
    is_finished: bool


def cross_validate(
    config: Config,
    store: Store,
    out: Path,
    *,
    trained: Store,
    finish: FinishRun,
    resume: bool = False,
    ranks: Ranks | None = None,
    network: NetworkFactory | None = None,
    **custom: Any,
) -> tuple[Config, Evaluation | None]:
    """Train and test a network for each fold, and write the ensemble of the networks.

    Args:
        config: The settings, with `folds`.
        store: The data to test on.
        out: The folder to write, which must not exist unless `resume` is True. The runs of the folds are in it.
        trained: The data to train on: those of `store`, with corrected contours where there are corrections.
        finish: See `FinishRun`.
        resume: Whether to continue in `out`. Folds that are finished are kept.
        ranks: The processes that train together.
        network: Makes another network in the U-Net's place.
        **custom: The other arguments of `echoseg.training.loop.train`.

    Returns:
        The settings with those that were chosen, and the pooled test; None for the latter in all processes but the
        first.

    Raises:
        DataError: There are more folds than patients, a fold cannot be trained or resumed, or the data or the settings
            have changed.
        FileExistsError: `out` exists.
    """
    ranks = ranks or Ranks()
    device = choose_device(ranks.device or config.device)
    plan = make_plan(config, trained, device, ranks)
    folds = _find_folds(plan.config, trained, out)
    ranks.wait()  # each has seen how far the folds had come
    if ranks.index == 0 and resume:
        remove_abandoned(out.glob(TEMPORARY_FOLDERS))
    elif ranks.index == 0:
        _begin(plan, out, device)
    for number, fold in enumerate(folds, start=1):
        if ranks.index == 0:
            logger.log(NOTICE, "fold %d of %d%s", number, len(folds), ": is finished" if fold.is_finished else "")
        if fold.is_finished:
            continue
        options = {"resume": fold.has_begun, "ranks": ranks, "network": network, **custom}
        chosen = train(fold.config, trained, fold.run, **options)
        if ranks.index == 0:
            finish(fold.run, chosen)
    if ranks.index > 0:
        return plan.config, None
    runs = [fold.run for fold in folds]
    _write_ensemble(out, plan.config, runs, store, network)
    tests = [evaluate(load(run, device=config.device, network=network), store, "test") for run in runs]
    pooled = pool_evaluations(tests)
    pooled.summary.update(observer_agreement(store, pooled.indices, pooled.prediction))
    return plan.config, pooled


def _find_folds(config: Config, store: Store, out: Path) -> list[_Fold]:
    """The folds, and how far they had come.

    Raises:
        DataError: There are more folds than patients, a fold has begun with other settings, or a finished one was
            trained on other data.
    """
    folds = []
    for number, made in enumerate(split_folds(config, store.samples), start=1):
        run = out / checkpoint.fold_name(number)
        has_begun = (run / checkpoint.CONFIG).is_file()
        kept = load_config(run / checkpoint.CONFIG) if has_begun else made
        is_finished = _has_test(run / "metrics.json")
        if has_begun and (kept.split_start, kept.split_boundaries) != (made.split_start, made.split_boundaries):
            raise DataError(_changed(run))
        for note in _check_edits(out, made, kept):
            logger.warning("%s; %s keeps its own", note, checkpoint.fold_name(number))
        if is_finished and checkpoint.has_state(run):
            state = checkpoint.load_state(run)[0]
            if state.get("data") != fingerprint(store, kept.splits(store.samples)):
                raise DataError(_changed(run))
        folds.append(_Fold(run, kept, has_begun, is_finished))
    return folds


def _check_edits(out: Path, config: Config, begun: Config) -> list[str]:
    """Refuse settings of a cross-validation that are not those with which a fold has begun.

    Args:
        out: The folder of the cross-validation.
        config: The settings of the fold that follow from those in `out` now.
        begun: The settings with which the fold has begun.

    Returns:
        A sentence for each setting that was edited where that is allowed.

    Raises:
        DataError: A setting differs that the plan of the fold has not chosen.
    """
    chosen = {name for name, value in config.values().items() if value in (None, "auto")}
    settings = {name: value for name, value in begun.values().items() if name not in chosen}
    rate, begun_rate = config.learning_rate, settings.get("learning_rate")
    if config.batch_size is None and begun.batch_size is not None and rate is not None and begun_rate is not None:
        of_16_images = begun_rate / scale_learning_rate(1.0, begun.batch_size)
        settings["learning_rate"] = rate if math.isclose(of_16_images, rate) else of_16_images
    return checkpoint.check_settings(out, config, settings)


def _changed(run: Path) -> str:
    return f"{run}: the data are not those that the fold was trained on; bring them back, or train with another --out"


def _has_test(path: Path) -> bool:
    try:
        return "test" in json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _begin(plan: Plan, out: Path, device: torch.device) -> None:
    with new_folder(out) as folder:
        plan.config.save(folder / checkpoint.CONFIG)
        plan.save(folder / PLAN)
        save_environment(folder / "environment.json", device, {})
    for line in plan.lines():
        logger.log(NOTICE, "%s", line)


def _write_ensemble(out: Path, config: Config, runs: list[Path], store: Store, network: NetworkFactory | None) -> None:
    """Write the weights of all folds to one file, and what `calibrate` writes, for the ensemble."""
    model, codec = checkpoint.build(config, network)
    assert isinstance(model, Ensemble)
    for member, run in zip(model.networks, runs, strict=True):
        checkpoint.load_weights(run / checkpoint.BEST, member)
    true = codec.landmarks(store)
    if true is not None:
        replace_file(out / SHAPES, fit_shapes(true[~store.blank]).save)
        parts = [landmark_errors(run, store, "test", device=config.device, network=network) for run in runs]
        errors, moments = (np.concatenate(part) for part in zip(*parts, strict=True))
        replace_file(out / CALIBRATION, fit_calibration(errors, moments, config.sigma**2).save)
    save_image_domain(out, store, np.arange(len(store)))
    predictors = [load(run, device=config.device, network=network) for run in runs]
    save_ef_intervals(out, pd.concat([predicted_efs(predictor, store, "test") for predictor in predictors]))
    checkpoint.save_weights(out / checkpoint.BEST, model, config)
