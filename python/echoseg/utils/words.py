"""Words of messages and reports."""


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or in the plural, such as "1 patient" and "2 patients"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
