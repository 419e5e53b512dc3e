"""What a paper says of a run: its settings and results, the counts of its data, and what was left out of them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from echoseg.datasets.store import Store
from echoseg.errors import DataError
from echoseg.evaluation.run_data import training_store
from echoseg.manuscript.formats import AUTHOR
from echoseg.report.licences import SYNTHETIC
from echoseg.report.run_summary import PRIVATE_DATA, RunSummary, read_run_summary
from echoseg.training.checkpoint import CONFIG, load_run
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.run_files import training_seconds

SPLIT_TITLES = {"train": "training", "val": "validation", "test": "test", "unused": "not used"}
"""The name of a split → what a paper calls it."""
_PLAIN_WORD = re.compile(
    r"a|an|and|area|are|at|base|be|been|border|both|by|cannot|cell|chord|chords|column|columns|"
    r"contains|contour|copy|damaged|decoded|different|does|empty|end|exists|file|files|folder|format|"
    r"found|frame|frames|has|header|image|images|in|instead|is|it|its|label|labels|lacks|less|"
    r"lies|line|list|listed|longer|mask|masks|matches|missing|more|neither|needs|no|nor|not|number|"
    r"of|on|one|only|or|other|outside|page|pages|patient|patients|phase|phases|point|points|range|"
    r"read|reading|row|rows|same|several|shuffled|size|subgroup|than|that|the|their|to|too|traced|"
    r"tracing|two|twice|unknown|valid|value|video|videos|view|volume|was|which|without|with|zero|"
    r"filelist\.csv|volumetracings\.csv"
)
"""The words of reasons. Any other word may be a name, and is replaced by "…"."""


@dataclass(frozen=True)
class RunFacts:
    """The facts of a run.

    Attributes:
        run: The content of the run folder.
        names: Whether names of files, patients and folders may be shown.
        counts: By split, the numbers of `patients` and `images` of the training's data; empty if the data are gone.
        data: What is known of the data: `source`, a hash; `files_sha256`, of the store; `given_splits`, whether the
            data set names the splits; `used_patients`, those with a usable image; and where they were read
            from files, `format`, `files`, `traced`, `patients`, `spacing_mm` and `thickness_mm`.
        left_out: Reason → number of files, frames or rows that could not be used.
        parameters: The number of trained parameters of one network; None if the network is not echoseg's own.
        minutes: How long the training took; nan if unknown.
        training: The settings of the training; of a cross-validation, those of its first fold.
        epochs: The number of epochs that each network was trained; empty if unknown.
        elsewhere: The splits that were measured on other data than those of the training.
        problem: Why the data could not be read; "" if they could.
    """

    run: RunSummary
    names: bool
    training: Config
    counts: pd.DataFrame
    data: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    parameters: int | None = None
    minutes: float = math.nan
    epochs: tuple[int, ...] = ()
    elsewhere: tuple[str, ...] = ()
    problem: str = ""

    @property
    def data_title(self) -> str:
        """The data set as the object of a sentence."""
        if self.run.data == PRIVATE_DATA:
            return f"{AUTHOR} the data set]"
        return self.run.data if self.run.data == SYNTHETIC else f"the data set {self.run.data}"

    def count(self, split: str, what: str) -> int | None:
        """The number of "patients" or "images" of a split; None if it is unknown."""
        if split in self.counts.index:
            return int(self.counts.loc[split, what])
        return self.run.metrics.get(split, {}).get(what) if split not in self.elsewhere else None


def read_facts(folder: Path, *, names: bool = False) -> RunFacts:
    """Read the facts of a run.

    The data are read too, as far as they are still there, for their counts.

    Args:
        folder: The run folder.
        names: Whether names of files, patients and folders may be shown.

    Raises:
        DataError: The folder is not a run folder, or a file in it is damaged.
    """
    run = read_run_summary(folder, names=names)
    folders = sorted(folder.glob("fold-*")) or [folder]
    seconds = sum(training_seconds(part).get("training", math.nan) for part in folders)
    logs = (replace(run, folder=part).table("log.csv") for part in folders)
    facts = RunFacts(
        run,
        names,
        load_config(folders[0] / CONFIG),
        pd.DataFrame({"patients": [], "images": []}, dtype=int),
        parameters=_count_parameters(folder),
        minutes=seconds / 60,
        epochs=tuple(len(log) for log in logs if log is not None),
        elsewhere=_elsewhere(run),
    )
    try:
        store = training_store(run.config)
    except (DataError, OSError) as error:
        reason = str(error) if names else "the data set of the training cannot be read"
        return replace(facts, problem=reason)
    return replace(facts, **_of_store(run, store, names))


def _of_store(run: RunSummary, store: Store, names: bool) -> dict[str, Any]:
    samples = store.samples
    splits = pd.Series(run.config.splits(samples), index=samples.index, name="split")
    if run.config.folds is not None:
        splits[:] = "test"
    traced = samples[samples["blank"] == 0] if "blank" in samples else samples
    groups = traced.groupby(splits[traced.index])
    counts = pd.DataFrame({"patients": groups["patient"].nunique(), "images": groups.size()})
    understood = store.manifest.get("understood", {})
    shown = ("format", "files", "traced", "spacing_mm", "thickness_mm")
    data = {name: understood[name] for name in shown if name in understood}
    data |= {"source": store.manifest.get("source", ""), "files_sha256": store.manifest.get("sha256", {})}
    data["given_splits"] = bool(samples["split"].str.strip().any())
    data["used_patients"] = traced["patient"].nunique()
    if "patients" in understood:
        data["patients"] = understood["patients"]["number"]
    reasons = Counter[str]()
    for fault in store.faults:
        reason = fault.reason.split(";")[0]
        reasons[reason if names else hide_names(reason)] += 1
    left_out = dict(reasons.most_common())
    return {"counts": counts, "data": data, "left_out": left_out, "elsewhere": _elsewhere(run, samples)}


def _elsewhere(run: RunSummary, samples: pd.DataFrame | None = None) -> tuple[str, ...]:
    """The splits that were measured on other data than those of the training.

    Runs of earlier versions do not say it: of these, the splits with an image that has no row in `samples`.
    """
    is_own = {
        split: values.get("own_data", samples is None or _is_of(run.table(f"images_{split}.csv"), samples))
        for split, values in run.metrics.items()
    }
    return tuple(split for split in is_own if not is_own[split])


def _is_of(images: pd.DataFrame | None, samples: pd.DataFrame) -> bool:
    """Whether all images of a table are samples of the training's data."""
    if images is None:
        return True
    known = set(zip(samples["video"], samples["frame"], strict=True))
    return known.issuperset(zip(images["video"], images["frame"], strict=True))


def hide_names(reason: str) -> str:
    """A reason in which all words that may be names, and all numbers, are replaced by "…"."""
    words = re.sub(r"'[^']*'|\([^)]*\)", " … ", reason).split()
    shown = [word if _PLAIN_WORD.fullmatch(word.strip(",:.").lower()) else "…" for word in words]
    return re.sub(r"…( …)+", "…", " ".join(shown))


def _count_parameters(folder: Path) -> int | None:
    """The number of parameters of a network of the run; None if the user's own network is needed to load it."""
    try:
        config, model, _ = load_run(folder)
    except DataError:
        return None
    return sum(parameter.numel() for parameter in model.parameters()) // (config.folds or 1)
