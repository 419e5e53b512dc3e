"""Licences of well-known data sets, which are recognised by a word in the name of their folder."""

from __future__ import annotations

SYNTHETIC = "synthetic echocardiograms"
_STANFORD = (
    "Stanford University's research use agreement: non-commercial research only, and the data may not be passed on."
    " Ask Stanford whether weights trained on the data may be passed on: https://echonet.github.io/{}/"
)
_KNOWN = {
    "synthetic": (SYNTHETIC, "No restrictions: echoseg generated the data, which show no patient."),
    "phantom": (SYNTHETIC, "No restrictions: echoseg generated the data, which show no patient."),
    "pediatric": ("EchoNet-Pediatric", _STANFORD.format("pediatric")),
    "echonet": ("EchoNet-Dynamic", _STANFORD.format("dynamic")),
    "camus": (
        "CAMUS",
        "The terms of its publisher; ask there before you pass on weights trained on the data:"
        " https://www.creatis.insa-lyon.fr/Challenge/camus/",
    ),
    "sunnybrook": (
        "Sunnybrook Cardiac Data",
        "CC0 1.0, public domain: https://www.cardiacatlas.org/sunnybrook-cardiac-data/",
    ),
}
"""Word in the name of a folder → name and licence of the data set."""
UNKNOWN = "Unknown. Ask the owner of the data before you pass on weights trained on them."


def find_licence(folder: str) -> tuple[str, str]:
    """The name and the licence of a data set.

    Args:
        folder: The name of its folder.

    Returns:
        The name and the licence of a known data set; else the name of the folder and `UNKNOWN`.
    """
    return next((known for word, known in _KNOWN.items() if word in folder.lower()), (folder, UNKNOWN))
