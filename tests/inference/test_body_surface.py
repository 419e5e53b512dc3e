from __future__ import annotations

import pytest

from echoseg.errors import DataError
from echoseg.inference.body_surface import body_surface_areas


def test_one_number_is_for_one_patient():
    assert body_surface_areas("1.8", ["p", "p"]) == body_surface_areas(1.8, ["p"]) == {"p": 1.8}
    with pytest.raises(DataError, match=r"one body surface area for 2 patients \(p, q\); give a table"):
        body_surface_areas(1.8, ["q", "p"])


@pytest.mark.parametrize("value", ["180", "0", "-1.8", "nan", "inf"])
def test_a_number_that_is_no_area_is_refused(value):
    with pytest.raises(DataError, match="expected m², from"):
        body_surface_areas(value, ["p"])


def test_areas_are_read_from_a_table(tmp_path):
    path = tmp_path / "patients.csv"
    path.write_text("age,Patient,BSA\n50,p,1.8\n60, q ,\n70,r,2.1\n")
    assert body_surface_areas(path, ["p", "q", "x"]) == {"p": 1.8}
    with pytest.raises(DataError, match=r"has no body surface area of any patient of the input \(x\)"):
        body_surface_areas(str(path), ["x"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient,bsa\np,1.8\nq,185\n", r"patients\.csv:3:bsa: '185' is no body surface area in m²"),
        ("patient,bsa\np,tall\n", r"patients\.csv:2:bsa: 'tall'"),
        ("patient,bsa\np,1.8\np,1.9\n", r"patients\.csv:3:patient: 'p' has another value above"),
        ("patient,height\np,180\n", "no column bsa"),
    ],
)
def test_a_fault_of_the_table_is_named_by_row(tmp_path, text, message):
    (tmp_path / "patients.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        body_surface_areas(tmp_path / "patients.csv", ["p", "q"])
