"""The model card of a run: what the model is, what it is for, how good it is, and its limits.

Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from echoseg.metrics.bootstrap import FEW_PATIENTS, few_patients_note
from echoseg.report.licences import SYNTHETIC, find_licence
from echoseg.report.run_summary import RunSummary, read_run_summary
from echoseg.training.splits import LEAK
from echoseg.utils.words import counted


def model_card(folder: Path) -> str:
    """Write the model card of a run.

    Args:
        folder: The run folder.

    Returns:
        The card as Markdown, with the YAML header that the Hugging Face hub reads.

    Raises:
        DataError: The folder is not a run folder, or a file in it is damaged.
    """
    run = read_run_summary(folder)
    results = [
        {
            "task": {"type": "image-segmentation"},
            "dataset": {"name": run.data, "type": "custom", "split": split},
            "metrics": [
                {"type": name, "value": round(values[name], 4)} for name in ("dice", "iou", "hd95_px") if name in values
            ],
        }
        for split, values in run.metrics.items()
    ]
    header = {
        "library_name": "echoseg",
        "license": "unknown",
        "pipeline_tag": "image-segmentation",
        "tags": [*_modality(run), _slug(run.structure), "medical", run.config.approach],
        "model-index": [{"name": run.name, "results": results}],
    }
    parts = [f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---", f"# {run.name}"]
    for title, lines in card_sections(run).items():
        parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)]
    usage = 'import echoseg\n\nprediction = echoseg.load("FOLDER")(frames)  # (T, H, W) uint8, any size'
    parts += ["## How to use it", f"```python\n{usage}\n```"]
    return "\n\n".join(parts) + "\n"


def card_facts(folder: Path) -> dict[str, str]:
    """The parts of the model card that an exported graph carries.

    Args:
        folder: The run folder.

    Returns:
        `training`, `results`, `limits`, `intended_use` and `licence`, sentences; and `metrics`, JSON: the numbers of
        the test split, without its tables; "null" if it was not evaluated.

    Raises:
        DataError: The folder is not a run folder, or a file in it is damaged.
    """
    run = read_run_summary(folder)
    sections = card_sections(run)
    metrics = run.metrics.get("test")
    if metrics is not None:
        metrics = {name: value for name, value in metrics.items() if name not in ("data", "seconds")}
    titles = ("Training", "Results", "Limits", "Intended use", "Licence")
    facts = {title.lower().replace(" ", "_"): " ".join(sections[title]) for title in titles}
    return {**facts, "metrics": json.dumps(metrics)}


def card_sections(run: RunSummary) -> dict[str, list[str]]:
    """The text of a model card.

    Args:
        run: The run.

    Returns:
        By the title of a section, its sentences: plain text, except that code is in backticks.
    """
    config = run.config
    if config.approach == "mask":
        output = f"predicts a mask of the {run.structure} for each frame"
    else:
        output = (
            f"predicts {config.landmarks} landmarks of the {run.structure} for each frame (scheme `{config.scheme}`)"
            f" and joins them to a contour (outline `{config.outline}`)"
        )
    images = "all" if config.images is None else config.images
    network, length = "A U-Net", f" for {config.epochs} epochs"
    if config.folds is not None:
        network, length = f"An ensemble of {config.folds} U-Nets", f", in {config.folds} folds of a cross-validation"
    return {
        "What it is": [
            f"{network} (width {config.width}, depth {config.depth}) that {output}.",
            f"Its input is {config.size[0]}×{config.size[1]} pixels; echoseg resizes other frames to that size.",
        ],
        "Intended use": [
            f"Research on the segmentation of the {run.structure}, in images like those of its training data.",
            "It is not a medical device and must not be used for decisions about patients. A person must check every"
            " contour.",
        ],
        "Training": [
            f"It was trained on {images} training images of {_quoted(run.data)}{length}, with seed {config.seed}."
            f" The data were split by {config.split_by}.",
        ],
        "Results": [_result(split, values) for split, values in run.metrics.items()] or ["It was not evaluated yet."],
        "Limits": _limits(run),
        "Licence": [
            f"Of the data: {_licence(run.data)}",
            "Of the weights: whoever trained them chooses it, within the terms of the data's licence.",
        ],
    }


def _modality(run: RunSummary) -> list[str]:
    """The tag of the imaging method: none for stacks of slices, which may be of MRI or of CT."""
    return [] if any("stacks" in values for values in run.metrics.values()) else ["echocardiography"]


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _result(split: str, values: dict) -> str:
    low, high = values["dice_ci95"]
    parts = [
        f"foreground Dice {values['dice']:.3f} (95 % confidence interval {low:.3f} to {high:.3f})",
        f"95th percentile Hausdorff distance (HD95) {values['hd95_px']:.2f} px",
    ]
    if "landmark_error_px" in values:
        parts.append(f"mean landmark error {values['landmark_error_px']:.2f} px")
    if (ef := values.get("ef")) and ef["mae"] is not None:
        parts.append(
            f"mean absolute error of the ejection fraction (EF) {ef['mae']:.1f} percentage points, with a bias of"
            f" {ef['bias']:+.1f}, in {counted(ef['videos'], 'video')}"
        )
    coverage = values.get("ef_bands", {}).get("all", {}).get("coverage")
    if coverage is not None:
        parts.append(f"90 % intervals of the EF that contain {100 * coverage:.0f} % of the references")
    images, patients = counted(values["images"], "image"), counted(values["patients"], "patient")
    return f"Split `{split}`, {images} of {patients}: {', '.join(parts)}."


def _limits(run: RunSummary) -> list[str]:
    lines = []
    if find_licence(run.data)[0] == SYNTHETIC:
        lines.append("It was trained on synthetic echocardiograms: these results say nothing about patients.")
    for split, values in run.metrics.items():
        if values["patients"] < FEW_PATIENTS:
            lines.append(f"In split `{split}`, {few_patients_note(values['patients'])}.")
        if values["empty_predictions"]:
            lines.append(
                f"In split `{split}`, the prediction is empty in {values['empty_predictions']} of {values['images']}"
                " images."
            )
        blanks = values.get("blanks", {"images": 0, "empty_predictions": 0})
        if wrong := blanks["images"] - blanks["empty_predictions"]:
            lines.append(
                f"In split `{split}`, the network found something in {wrong} of {blanks['images']} blank slices, which"
                " show nothing to trace."
            )
        review = values.get("review", {"poor": 0, "poor_marked": 0})
        if missed := review["poor"] - review["poor_marked"]:
            lines.append(
                f"In split `{split}`, {missed} of {review['poor']} poor contours (Dice below 0.8) were not marked for"
                " review."
            )
    if run.config.folds is not None:
        lines.append(
            "The results are those of single networks, each on the patients of its fold. The ensemble was not tested on"
            " these data, since it has seen all patients."
        )
    if run.config.split_by == "image":
        lines.append(f"{LEAK[0].upper()}{LEAK[1:]}.")
    if run.config.validation == "none":
        lines.append("There was no validation split, so the weights are those of the last epoch, not of the best one.")
    if run.config.validation == "last":
        lines.append("The weights are those of the last epoch, not of the one with the best validation Dice.")
    return [
        *lines,
        "The confidence intervals are over the patients of this data set. They do not cover other hospitals, scanners"
        " or observers, nor another training.",
        "The reference is the tracing of one person; another person would trace differently.",
    ]


def _licence(data: str) -> str:
    name, licence = find_licence(data)
    return licence if name in (data, SYNTHETIC) else f"{licence} (The data set, {name}, is inferred from its folder.)"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "'").replace("\n", " ") + "`"
