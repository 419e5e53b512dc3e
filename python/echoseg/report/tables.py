"""Tables for the terminal."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from echoseg.report.measure_rows import (
    MEASURE_COLUMNS,
    agreement_table,
    count_rows,
    coverage_table,
    measure_rows,
    span,
    subgroup_table,
    with_interval,
)
from echoseg.report.observer_table import observer_table
from echoseg.utils.words import counted

if TYPE_CHECKING:
    import pandas as pd


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table: the first column is aligned to the left, the others to the right.

    If the terminal is too narrow, each row becomes a paragraph in which each value follows the title of its column.

    Args:
        header: The titles of the columns.
        rows: The cells of each row.

    Returns:
        The lines of the table.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    available = shutil.get_terminal_size((1000, 24)).columns
    if sum(widths) + 2 * (len(widths) - 1) > available:
        return "\n".join([header[0], *(_paragraph(header, row, available) for row in rows)]).lstrip("\n")
    lines = []
    for first, *others in [header, ["-" * width for width in widths], *rows]:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def _paragraph(header: Sequence[str], row: Sequence[str], width: int) -> str:
    text = ", ".join(f"{name} {cell}" for name, cell in zip(header[1:], row[1:], strict=True) if cell.strip())
    return f"{row[0]}\n{textwrap.fill(text, max(8, width), initial_indent='  ', subsequent_indent='  ')}"


def metrics_table(metrics: dict, split: str) -> str:
    """Format the metrics of one split, the foreground Dice first.

    Args:
        metrics: The entry of the split in ``metrics.json``.
        split: The name of the split.

    Returns:
        One table, followed by tables of volumes, stacks and calibration if the split has them.
    """
    of_empty_mask = metrics["all_black"]
    rows = [[*row, ""] for row in measure_rows(metrics)]
    for row, name in zip(rows, ("dice", "dice_all_pixels"), strict=False):
        row[-1] = f"{of_empty_mask[name]:.4f}"
    rows += [[title, count] for title, count in count_rows(metrics).items()]
    count = f"{counted(metrics['images'], 'image')} of {counted(metrics['patients'], 'patient')}"
    title = ", ".join([f"{split}: {count}", *_structure(metrics)])
    parts = [
        *_optional(subgroup_table(metrics)),
        *_optional(agreement_table(metrics)),
        *_optional(observer_table(metrics)),
        *_ef_bands(metrics),
        *_whole_videos(metrics.get("videos", {})),
        *_stacks(metrics.get("stacks", {})),
        *_calibration(metrics),
    ]
    header = ["", *MEASURE_COLUMNS, "empty mask"]
    filled = [row + [""] * (len(header) - len(row)) for row in rows]
    return "\n".join([title, text_table(header, filled), *_note(metrics), *parts])


def _note(metrics: dict) -> list[str]:
    return [f"note: {metrics['note']}"] if "note" in metrics else []


def _structure(metrics: dict) -> list[str]:
    """What was segmented; runs of earlier versions do not say it."""
    return [metrics["structure"]] if "structure" in metrics else []


def _optional(table: tuple[list[str], list[list[str]]]) -> list[str]:
    """A table after a blank line; nothing if it has no rows."""
    header, rows = table
    return ["", text_table(header, rows)] if rows else []


_WHOLE_VIDEOS = {
    "dice": "foreground Dice of the traced frames",
    "neighbour_dice": "smallest Dice of neighbouring frames",
    "area_jitter_percent": "jitter of the area, %",
    "base_jitter_px": "jitter of the middle of the base, px",
    "base_drift_px": "drift of the middle of the base, px",
}


def _whole_videos(values: dict) -> list[str]:
    """Accuracy and steadiness of whole videos, as means over the videos."""
    intervals = values.get("ci95", {})
    rows = [
        [title, f"{values[name]:.4f}", span(intervals.get(name), ".4f")]
        for name, title in _WHOLE_VIDEOS.items()
        if name in values
    ]
    header = ["whole videos, as predicted by 'echoseg predict'", "mean", "95 % interval"]
    return ["", text_table(header, rows)] if rows else []


EF_BAND_COLUMNS = (
    "videos",
    "bias, points",
    "95 % interval of the bias, points",
    "truth in the 90 % interval",
    "its mean width, points",
)


def ef_band_rows(bands: dict, source: str) -> list[list[str]]:
    """Format an entry ``ef_bands`` of ``metrics.json``.

    Args:
        bands: The entry.
        source: What the EF was computed from, for the titles of the rows.

    Returns:
        For all videos and each band of the predicted EF, a title and the values of ``EF_BAND_COLUMNS``.
    """
    rows = []
    for name, entry in bands.items():
        interval = span(entry["bias_ci95"], "+.1f") if entry["videos"] > 1 else ""
        shares = ["", ""]
        if entry["coverage"] is not None:
            shares = [f"{100 * entry['coverage']:.0f} %", f"{entry['width']:.1f}"]
        title = f"EF, {source}" if name == "all" else f"  predicted EF {name}"
        rows.append([title, str(entry["videos"]), f"{entry['bias']:+.1f}", interval, *shares])
    return rows


def _ef_bands(metrics: dict) -> list[str]:
    rows = ef_band_rows(metrics.get("ef_bands", {}), "traced frames")
    rows += ef_band_rows(metrics.get("ef_bands_videos", {}), "whole videos")
    return ["", text_table(["errors and intervals", *EF_BAND_COLUMNS], rows)] if rows else []


def _stacks(stacks: dict) -> list[str]:
    """The volumes of stacks of slices and the EF of patients, predicted and true."""
    rows = []
    for name, entry in stacks.items():
        if name == "ef":
            title, count, score, keys = "EF, %", entry["patients"], "", ("ef", "true_ef", "bias", "mae")
        else:
            title = "volume, ml" if name == "any" else f"volume, ml, {name}"
            count, score = entry["stacks"], f"{entry['volume_dice']:.4f}"
            keys = ("volume_ml", "true_volume_ml", "bias_ml", "mae_ml")
        intervals = entry.get("ci95", {})
        cells = [with_interval(entry[key], intervals.get(key), ".1f") for key in keys]
        rows.append([title, str(count), score, *cells])
    header = ["stacks of slices", "number", "volume Dice", "predicted", "true", "bias", "MAE"]
    return ["", text_table(header, rows)] if rows else []


def _calibration(metrics: dict) -> list[str]:
    """How often the truth lies in its predicted interval, and how many images are marked for review."""
    if "calibration" not in metrics:
        return []
    review = metrics["review"]
    return [
        "",
        text_table(*coverage_table(metrics["calibration"], "truth in the predicted interval of")),
        f"marked for review: {counted(review['marked'], 'image')}, among them {review['poor_marked']} of the "
        f"{review['poor']} with a Dice below 0.8",
    ]


def postprocess_table(table: pd.DataFrame, split: str, *, ladder: bool = False) -> str:
    """Format a result of ``evaluation.postprocess_ablation``.

    Args:
        table: The result.
        split: The split that was evaluated.
        ladder: Whether it is that of ``postprocess_ladder``, in which each row adds a step to the row before.
    """
    rows = []
    for number, row in enumerate(table.itertuples()):
        change = [f"{gain:+.4f}" for gain in (row.gain, row.gain_low, row.gain_high)] + [f"{row.emptied:.0f}"]
        distance = "" if math.isnan(row.hd95_px) else f"{row.hd95_px:.2f}"
        rows.append([row.step, f"{row.dice:.4f}", distance, *(change if number else [""] * 4)])
    title = f"{'steps one after the other' if ladder else 'single step'}, {split}"
    header = ["foreground Dice", "HD95, px", "change of Dice", "95 % interval from", "to", "images emptied"]
    return text_table([title, *header], rows)


def ordering_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Format the result of ``evaluation.orderings.compare_orderings``: the titles of the columns, and the rows."""
    rows = [[name, *(f"{value:.3f}" for value in values)] for name, *values in table.itertuples(index=False)]
    return ["ordering", "mean", "minimum", "share below 0.95"], rows


def ceiling_rows(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Format the result of ``evaluation.ceiling.landmark_ceiling``.

    Args:
        table: The result.

    Returns:
        The titles of the columns; and a row for each scheme and number of landmarks, with the Dice of each way to join
        them and the errors of the best one.
    """
    outlines = list(table["outline"].unique())
    rows = []
    for (scheme, count), group in table.groupby(["scheme", "landmarks"], sort=False):
        by_outline = group.set_index("outline")
        best = by_outline.loc[by_outline["dice"].idxmax()]
        scores = [f"{by_outline.loc[outline, 'dice']:.4f}" for outline in outlines]
        rows.append([scheme, str(count), *scores, f"{best['hd95_px']:.2f}", f"{best['area_error_percent']:.1f}"])
    titles = [f"Dice, {outline}" for outline in outlines]
    return ["scheme", "landmarks", *titles, "HD95, px", "area error, %"], rows


def frame_table(table: pd.DataFrame) -> str:
    """Format any table: numbers with four digits, missing values as blanks.

    Args:
        table: The table; underscores in the names of its columns are shown as blanks.
    """
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    return text_table([str(name).replace("_", " ") for name in table], rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def ablation_table(trainings: pd.DataFrame, by: list[str]) -> str:
    """Format a result of ``evaluation.ablation.run_ablation``.

    Args:
        trainings: Either of its two tables.
        by: The columns that say what was changed.

    Returns:
        A row for each change, the best first: means over seeds, and the standard deviation over seeds.
    """
    groups = trainings.groupby(by, sort=False)
    scores = groups[["dice", "hd95_px", "landmark_error_px"]].mean()
    scores["deviation"], scores["seeds"] = groups["dice"].std(), groups["dice"].size()
    rows = [
        [
            *(name if isinstance(name, tuple) else (name,)),
            f"{row.dice:.4f}",
            "" if math.isnan(row.deviation) else f"{row.deviation:.4f}",
            f"{row.hd95_px:.2f}",
            "" if math.isnan(row.landmark_error_px) else f"{row.landmark_error_px:.2f}",
            str(int(row.seeds)),
        ]
        for name, row in scores.sort_values("dice", ascending=False).iterrows()
    ]
    return text_table([*by, "foreground Dice", "SD over seeds", "HD95, px", "landmark error, px", "seeds"], rows)


def effort_table(effort: pd.DataFrame) -> str:
    """Format the result of ``evaluation.run_effort.correction_effort``.

    Args:
        effort: The result.

    Returns:
        A row for each tool and target: the share of images that reach the target after so many steps.
    """
    rows = []
    for (tool, target), group in effort.groupby(["tool", "target"], sort=False):
        reached = group[group["steps"] < math.inf]
        shares = [f"{100 * (group['steps'] <= steps).mean():.0f} %" for steps in (0, 1, 2, 5)]
        means = [f"{reached['steps'].mean():.2f}", f"{reached['path_px'].mean():.1f}"] if len(reached) else ["", ""]
        rows.append([tool, f"{target:.2f}", *shares, f"{100 * len(reached) / len(group):.0f} %", *means])
    header = [
        *("tool", "target Dice", "reached after 0 steps", "1", "2", "5", "ever"),
        *("mean steps", "mean distance moved, px"),
    ]
    return text_table(header, rows)


def beat_effort_table(effort: pd.DataFrame) -> str:
    """Format the result of ``evaluation.beat_effort.beat_effort``.

    Args:
        effort: The result.

    Returns:
        A row without and one with carried corrections: means over the videos.
    """
    rows = []
    for carried, group in effort.groupby("carried"):
        means = group.mean(numeric_only=True)
        seconds = f"{1000 * group['seconds'].median():.0f}" if carried else ""
        rows.append(
            [
                "carried to the other frames" if carried else "frame by frame",
                *(f"{means[name]:.1f}" for name in ("frames", "corrected", "steps", "path_px")),
                f"{100 * means['reached']:.0f} %",
                *(f"{means[name]:.4f}" for name in ("dice", "neighbour_dice")),
                f"{means['area_jitter_percent']:.2f}",
                seconds,
            ]
        )
    header = [
        *("corrections", "traced frames", "corrected", "steps", "distance moved, px", "goal reached", "Dice after"),
        *("smallest Dice of neighbours", "jitter of the area, %", "ms a correction"),
    ]
    return text_table(header, rows)


def suggestion_table(frames: pd.DataFrame) -> str:
    """Format the result of ``inference.suggest.suggest``: a row for each frame, counted from 0."""
    known = frames.assign(
        uncertainty=(100 * frames["uncertainty"]).map("±{:.0f} %".format), unlike=frames["unlike"].map("{:.2f}".format)
    ).where(frames.notna(), "unknown")
    rows = [[row.file, str(row.frame), row.uncertainty, row.unlike] for row in known.itertuples(index=False)]
    return text_table(["file", "frame", "uncertainty of the area", "unlike the training images"], rows)


def layers_table(layers: pd.DataFrame) -> str:
    """Format the result of ``training.summary.summarise_network``: a row for each layer, and the totals."""
    rows = [
        [row.name, row.kind, " × ".join(map(str, row.shape)), f"{row.parameters:,}", f"{row.multiply_adds:,}"]
        for row in layers.itertuples(index=False)
    ]
    totals = [f"{layers[name].sum():,}" for name in ("parameters", "multiply_adds")]
    return text_table(["layer", "kind", "output", "parameters", "multiply-adds"], [*rows, ["total", "", "", *totals]])
