"""The model card: what a run is, for what, how good, and where it must not be trusted.

Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from echoseg.report.data_sets import SYNTHETIC, data_set
from echoseg.report.run import Run, read_run

FEW_PATIENTS = 30


def model_card(folder: Path) -> str:
    """A run's card as Markdown, under the header that the Hugging Face hub reads.

    Raises:
        DataError: no run, or a damaged file in it.
    """
    run = read_run(folder)
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
        "tags": ["echocardiography", "left-ventricle", "medical", run.config.approach],
        "model-index": [{"name": run.name, "results": results}],
    }
    parts = [f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---", f"# {run.name}"]
    for title, lines in card_sections(run).items():
        parts += [f"## {title}", "\n".join(f"- {line}" for line in lines)]
    use = 'import echoseg\n\nprediction = echoseg.load("FOLDER")(frames)  # (T, H, W) uint8, any size'
    parts += ["## Use", f"```python\n{use}\n```"]
    return "\n\n".join(parts) + "\n"


def card_sections(run: Run) -> dict[str, list[str]]:
    """By title, the lines of a run's card: plain text, but for code in backticks and links as they are."""
    config = run.config
    finds = "the ventricle's mask" if config.approach == "mask" else f"{config.landmarks} landmarks of the ventricle"
    outline = (
        "" if config.approach == "mask" else f" (scheme `{config.scheme}`), joined to an outline (`{config.outline}`)"
    )
    return {
        "What it is": [
            f"A U-Net (width {config.width}, depth {config.depth}) that finds {finds} in single frames{outline}.",
            f"It looks at frames of {config.size[0]}×{config.size[1]} pixels; echoseg brings others to that size.",
        ],
        "What it is for": [
            "Research on the segmentation of the left ventricle, in pictures like those that it was trained on.",
            "Not a medical device: nothing here may decide on a patient. A person must look at every outline.",
        ],
        "Training": [
            f"Data: {_quoted(run.data)}, split by patient; seed {config.seed}, {config.epochs} epochs of"
            f" {'all' if config.images is None else config.images} training images.",
        ],
        "Results": [_result(split, values) for split, values in run.metrics.items()] or ["Not evaluated yet."],
        "Limits": _limits(run),
        "Licence": [
            f"Of the data: {_licence(run.data)}",
            "Of the weights: for whoever trained them to choose, as far as the data's licence allows.",
        ],
    }


def _result(split: str, values: dict) -> str:
    low, high = values["dice_ci95"]
    parts = [
        f"{split}, {values['images']} images of {values['patients']} patients: foreground Dice {values['dice']:.3f}"
    ]
    parts += [f"95% interval {low:.3f} to {high:.3f}", f"HD95 {values['hd95_px']:.2f} px"]
    if "landmark_error_px" in values:
        parts.append(f"landmark error {values['landmark_error_px']:.2f} px")
    if ef := values.get("ef"):
        parts.append(f"EF off by {ef['mae']:.1f} points on average in {ef['videos']} videos")
    return ", ".join(parts) + "."


def _limits(run: Run) -> list[str]:
    lines = []
    if data_set(run.data)[0] == SYNTHETIC:
        lines.append("Trained on synthetic echocardiograms: these figures say nothing about patients.")
    for split, values in run.metrics.items():
        if values["patients"] < FEW_PATIENTS:
            lines.append(f"{split}: {values['patients']} patients are few; the interval may well be too narrow.")
        if values["empty_predictions"]:
            lines.append(f"{split}: nothing was found in {values['empty_predictions']} of {values['images']} images.")
        review = values.get("review", {"poor": 0, "poor_marked": 0})
        if missed := review["poor"] - review["poor_marked"]:
            lines.append(
                f"{split}: {missed} of {review['poor']} poor outlines (Dice below 0.8) were not marked for review."
            )
    if run.config.validation == "none":
        lines.append("No validation split: the last weights were kept, not the best.")
    return [
        *lines,
        "Intervals are over patients of this data set. They say nothing about other hospitals, scanners or observers,"
        " nor about another training.",
        "The truth is one person's tracing, which another would have drawn otherwise.",
    ]


def _licence(data: str) -> str:
    name, licence = data_set(data)
    return licence if name in (data, SYNTHETIC) else f"{licence} (Taken for {name} by the name of the folder.)"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "'").replace("\n", " ") + "`"
