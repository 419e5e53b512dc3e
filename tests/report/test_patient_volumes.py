from __future__ import annotations

import numpy as np
import pandas as pd

from echoseg.report.patient_volumes import volumes_text

COLUMNS = ["file", "patient", "volume", "true_volume", "volume_mm3", "true_volume_mm3", "volume_dice", "volume_index"]


def table_of(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


def test_a_line_for_each_stack_in_mm3_and_ml():
    table = table_of(
        ("imagesTr/p", "p", 59.772, 54.091, 59772.0, 54091.0, 0.91, np.nan),
        ("film", "q", *[np.nan] * 6),
        ("imagesTr/r", "r", 32.487, np.nan, 32487.0, np.nan, np.nan, np.nan),
    )
    head, _, first, second = volumes_text(table, "left atrium").split("\n")
    assert head.split("  ")[0] == "volume of the left atrium"
    assert "index" not in head
    assert first.split() == ["imagesTr/p", "p", "59772", "54091", "59.8", "54.1", "0.9100"]
    assert second.split() == ["imagesTr/r", "r", "32487", "32.5"]


def test_indices_stand_beside_the_normal_range_of_the_structure():
    table = table_of(("p", "p", 60.0, np.nan, 60000.0, np.nan, np.nan, 33.3))
    text = volumes_text(table, "left atrium")
    assert "33.3" in text
    assert "16–34 ml/m²" in text
    assert "MRI gives larger volumes" in text
    assert "normal" not in volumes_text(table, "aorta")
    cine = table_of(("p", "p", *[np.nan] * 5, 50.0))
    assert volumes_text(cine, "left ventricle").startswith("normal index: 34–74 ml/m² in men and 29–61 ml/m² in women")


def test_without_stacks_and_indices_there_is_nothing_to_say():
    assert volumes_text(table_of(("film", "q", *[np.nan] * 6)), "left ventricle") == ""
