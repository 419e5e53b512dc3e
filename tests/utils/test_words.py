from echoseg.utils.words import counted


def test_a_noun_agrees_with_its_number():
    assert [counted(number, "patient") for number in (0, 1, 2)] == ["0 patients", "1 patient", "2 patients"]
