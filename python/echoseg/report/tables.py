"""Tables for the terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to one width: the first to the left, the others to the right.

    In a terminal that is too narrow for that, a paragraph a row, each number with its column's name.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    room = shutil.get_terminal_size((1000, 24)).columns
    if sum(widths) + 2 * (len(widths) - 1) > room:
        return "\n".join([header[0], *(_paragraph(header, row, room) for row in rows)]).lstrip("\n")
    lines = []
    for first, *others in [header, ["-" * width for width in widths], *rows]:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def _paragraph(header: Sequence[str], row: Sequence[str], room: int) -> str:
    said = ", ".join(f"{name} {cell}" for name, cell in zip(header[1:], row[1:], strict=True) if cell.strip())
    return f"{row[0]}\n{textwrap.fill(said, max(8, room), initial_indent='  ', subsequent_indent='  ')}"


def metrics_table(summary: dict, split: str) -> str:
    """One split's entry of ``metrics.json`` as text; foreground Dice first, the papers' Dice beside it, labelled."""
    low, high = summary["dice_ci95"]
    black = summary["all_black"]
    rows = [
        ["foreground Dice", f"{summary['dice']:.4f}", f"{black['dice']:.4f}"],
        ["  95% interval", f"{low:.4f}-{high:.4f}", ""],
        ["all-pixel Dice (papers)", f"{summary['dice_all_pixels']:.4f}", f"{black['dice_all_pixels']:.4f}"],
        ["IoU", f"{summary['iou']:.4f}", ""],
        ["HD95, px", f"{summary['hd95_px']:.2f}", ""],
        ["ASSD, px", f"{summary['assd_px']:.2f}", ""],
    ]
    if "landmark_error_px" in summary:
        rows.append(["landmark error, px", f"{summary['landmark_error_px']:.2f}", ""])
    rows.append(["empty predictions", str(summary["empty_predictions"]), ""])
    title = f"{split}: {summary['images']} images of {summary['patients']} patients"
    parts = [*_volumes(summary), *_stacks(summary.get("stacks", {})), *_trust(summary)]
    return "\n".join([title, text_table(["", "model", "all black"], rows), *parts])


_AGREEMENTS = {
    f"{what}{which}": f"{label}, {of}"
    for which, of in (("", "predicted"), ("_videos", "whole videos"), ("_method", "true contours"))
    for what, label in (("ef", "EF, %"), ("edv", "EDV, ml"), ("esv", "ESV, ml"))
}


def _volumes(summary: dict) -> list[str]:
    """How EF and volumes agree with the data set's list, or with the true contours; nothing without such pairs."""
    rows = []
    for name, label in _AGREEMENTS.items():
        if name in summary:
            found = summary[name]
            numbers = [_number(found[key]) for key in ("mae", "rmse", "r2", "bias")]
            limits = " to ".join(f"{limit:+.1f}" for limit in found["limits"] or ())
            rows.append([label, str(found["videos"]), str(found["missing"]), *numbers, limits])
    header = ["against the list", "videos", "missing", "MAE", "RMSE", "R²", "bias", "95% limits"]
    return ["", text_table(header, rows)] if rows else []


def _stacks(summary: dict) -> list[str]:
    """Volumes of stacks and EF of patients, predicted and true; nothing where frames are no slices."""
    rows = []
    for name, found in summary.items():
        if name == "ef":
            label, count, score, keys = "EF, %", found["patients"], "", ("ef", "true_ef", "bias", "mae")
        else:
            label = "volume, ml" if name == "any" else f"volume, ml, {name}"
            count, score = found["stacks"], f"{found['volume_dice']:.4f}"
            keys = ("volume_ml", "true_volume_ml", "bias_ml", "mae_ml")
        rows.append([label, str(count), score, *(f"{found[key]:.1f}" for key in keys)])
    header = ["stacks of slices", "number", "volume Dice", "predicted", "true", "bias", "MAE"]
    return ["", text_table(header, rows)] if rows else []


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def gains_table(table: pd.DataFrame, split: str) -> str:
    """The rows of ``inference.gains.postprocess_ablation`` as text."""
    rows = [
        [
            row.step,
            f"{row.dice:.4f}",
            f"{row.hd95_px:.2f}",
            *("" if row.step == "none" else f"{gain:+.4f}" for gain in (row.gain, row.gain_low, row.gain_high)),
        ]
        for row in table.itertuples()
    ]
    header = [f"step alone, {split}", "foreground Dice", "HD95, px", "gain of Dice", "95% from", "to"]
    return text_table(header, rows)


def _trust(summary: dict) -> list[str]:
    """Whether intervals hold what they should, and what is marked for review; nothing without a calibration."""
    if "calibration" not in summary:
        return []
    shares, review = summary["calibration"], summary["review"]
    rows = [[name, *(f"{100 * share:.0f}%" for share in of.values())] for name, of in shares.items()]
    levels = [f"{level}%" for level in shares["landmarks"]]
    return [
        "",
        text_table(["truth inside its interval of", *levels], rows),
        f"marked for review: {review['marked']}, among them {review['poor_marked']} of the {review['poor']} poor"
        " (Dice below 0.8)",
    ]


def ceiling_table(table: pd.DataFrame) -> str:
    """The rows of ``assess.ceiling.landmark_ceiling`` as text: one line a scheme and number, with the Dice of each
    outline and the errors of the best one."""
    outlines = list(table["outline"].unique())
    rows = []
    for (scheme, count), group in table.groupby(["scheme", "landmarks"], sort=False):
        by_outline = group.set_index("outline")
        best = by_outline.loc[by_outline["dice"].idxmax()]
        scores = [f"{by_outline.loc[outline, 'dice']:.4f}" for outline in outlines]
        rows.append([scheme, str(count), *scores, f"{best['hd95_px']:.2f}", f"{best['area_error_percent']:.1f}"])
    return text_table(["scheme", "landmarks", *outlines, "HD95, px", "area error, %"], rows)


def experiments_table(table: pd.DataFrame) -> str:
    """The rows of ``inference.experiments.run_experiments`` as text, train / test in one cell."""
    rows = []
    for row in table.itertuples():
        paper = f"{row.paper_train:.4f} / {row.paper_test:.4f}" if row.paper_time else ""
        rows.append(
            [
                row.experiment,
                str(row.images),
                str(row.epochs),
                f"{row.train_dice:.4f} / {row.test_dice:.4f}",
                f"{row.train_dice_all_pixels:.4f} / {row.test_dice_all_pixels:.4f}",
                f"{row.loss:.4f}",
                f"{int(row.minutes)}:{round(row.minutes % 1 * 60):02d}",
                paper,
                row.paper_time,
            ]
        )
    header = ["experiment", "images", "epochs", "foreground Dice", "all-pixel Dice", "loss", "min:s", "paper", "min:s"]
    return text_table(header, rows)


def ablation_table(trainings: pd.DataFrame, by: list[str]) -> str:
    """Rows of ``inference.ablation.run_ablation`` as text, the best first: means over seeds and the seeds' spread.

    Args:
        trainings: either of its tables.
        by: columns that tell what was tried.
    """
    groups = trainings.groupby(by, sort=False)
    scores = groups[["dice", "hd95_px", "landmark_error_px"]].mean()
    scores["spread"], scores["seeds"] = groups["dice"].std(), groups["dice"].size()
    rows = [
        [
            *(name if isinstance(name, tuple) else (name,)),
            f"{row.dice:.4f}",
            "" if math.isnan(row.spread) else f"{row.spread:.4f}",
            f"{row.hd95_px:.2f}",
            "" if math.isnan(row.landmark_error_px) else f"{row.landmark_error_px:.2f}",
            str(int(row.seeds)),
        ]
        for name, row in scores.sort_values("dice", ascending=False).iterrows()
    ]
    return text_table([*by, "foreground Dice", "± of seeds", "HD95, px", "landmark error, px", "seeds"], rows)


def effort_table(effort: pd.DataFrame) -> str:
    """The rows of ``inference.effort.correction_effort`` as text: one line a tool and target."""
    rows = []
    for (tool, target), of in effort.groupby(["tool", "target"], sort=False):
        ever = of[of["steps"] < math.inf]
        shares = [f"{100 * (of['steps'] <= most).mean():.0f}%" for most in (0, 1, 2, 5)]
        means = [f"{ever['steps'].mean():.2f}", f"{ever['way_px'].mean():.1f}"] if len(ever) else ["", ""]
        rows.append([tool, f"{target:.2f}", *shares, f"{100 * len(ever) / len(of):.0f}%", *means])
    header = ["tool", "Dice", "at once", "after 1", "2", "5", "ever", "mean steps", "mean way, px"]
    return text_table(header, rows)
