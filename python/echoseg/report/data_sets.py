"""Data sets that are known by a word in the name of their folder, and under which terms they may be used."""

from __future__ import annotations

SYNTHETIC = "synthetic echocardiograms"
_STANFORD = (
    "Stanford University's research use agreement: for non-commercial research, and the data may not be passed on."
    " Whether weights trained on them may be is for Stanford to say: https://echonet.github.io/{}/"
)
# by a word in the name of the folder: its data set and licence
DATA_SETS = {
    "synthetic": (SYNTHETIC, "None: echoseg made them, and there is no patient in them."),
    "phantom": (SYNTHETIC, "None: echoseg made them, and there is no patient in them."),
    "pediatric": ("EchoNet-Pediatric", _STANFORD.format("pediatric")),
    "echonet": ("EchoNet-Dynamic", _STANFORD.format("dynamic")),
    "camus": (
        "CAMUS",
        "Its publisher's terms; ask there before you pass weights on: https://www.creatis.insa-lyon.fr/Challenge/camus/",
    ),
    "sunnybrook": (
        "Sunnybrook Cardiac Data",
        "CC0 1.0, public domain: https://www.cardiacatlas.org/sunnybrook-cardiac-data/",
    ),
}
UNKNOWN = "Not known to echoseg. Ask whoever gave you the data before you pass on weights that were trained on them."


def data_set(name: str) -> tuple[str, str]:
    """Name and licence of a data set, judged by the name of its folder."""
    return next((known for word, known in DATA_SETS.items() if word in name.lower()), (name, UNKNOWN))
