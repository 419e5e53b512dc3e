"""The volumes of stacks, a line for each, with published normal ranges of volumes indexed by body surface area.

Source of the ranges: Lang et al., "Recommendations for Cardiac Chamber Quantification by Echocardiography in Adults",
Journal of the American Society of Echocardiography 28, 1-39, 2015.
"""

from __future__ import annotations

import math

import pandas as pd

from echoseg.report.tables import text_table

NORMAL_RANGES = {
    "left ventricle": "34–74 ml/m² in men and 29–61 ml/m² in women, at end-diastole",
    "left atrium": "16–34 ml/m², for the largest volume of the heart cycle",
}
"""Structure → the normal range of its index in adults, by biplane echocardiography."""
NORMAL_SOURCE = "adults, biplane echocardiography, Lang et al. 2015"
_MOST = 40  # lines in the terminal


def volumes_text(table: pd.DataFrame, structure: str) -> str:
    """List the volumes of stacks for the terminal.

    Args:
        table: The result of `echoseg.file_prediction.predict_files`.
        structure: The name of what is segmented.

    Returns:
        A line for each stack of known spacing: predicted and true volume, their Dice, and the volume divided by the
        body surface area; columns without values are left out. Below it, if there are indices, the normal range. ""
        without stacks.
    """
    stacks = table[table["volume_mm3"].notna()]
    indexed = table["volume_index"].notna().any()
    columns = {
        "predicted, mm³": ("volume_mm3", ".0f"),
        "true, mm³": ("true_volume_mm3", ".0f"),
        "predicted, ml": ("volume", ".1f"),
        "true, ml": ("true_volume", ".1f"),
        "volume Dice": ("volume_dice", ".4f"),
        "index, ml/m²": ("volume_index", ".1f"),
    }
    shown = {title: column for title, column in columns.items() if stacks[column[0]].notna().any()}
    rows = [
        [row["file"], row["patient"], *(_cell(row[name], form) for name, form in shown.values())]
        for row in stacks.head(_MOST).to_dict("records")
    ]
    parts = [text_table([f"volume of the {structure}", "patient", *shown], rows)] if rows else []
    if len(stacks) > _MOST:
        parts.append(f"and {len(stacks) - _MOST} more; the table of results has all of them")
    if indexed and structure in NORMAL_RANGES:
        parts.append(f"normal index: {NORMAL_RANGES[structure]} ({NORMAL_SOURCE})")
        parts += ["MRI gives larger volumes than echocardiography"] if rows else []
    return "\n".join(parts)


def _cell(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)
