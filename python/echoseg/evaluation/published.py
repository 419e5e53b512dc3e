"""Published results on public data sets, each with the source in which it was found."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """A row of published results.

    Attributes:
        protocol: The name of the protocol, see `echoseg.evaluation.protocols`.
        method: The method.
        values: Quantity of the protocol → value, as text; quantities that the source does not give are left out.
        source: Where the values stand.
    """

    protocol: str
    method: str
    values: dict[str, str]
    source: str


PUBLISHED = (
    Published(
        "echonet",
        "EchoNet-Dynamic",
        {"dice": "0.92", "ef_mae": "4.05", "ef_rmse": "5.32", "ef_r2": "0.81"},
        "Ouyang et al., Nature 580, 2020, doi:10.1038/s41586-020-2145-8: Dice in the abstract, where the MAE is 4.1; EF"
        " as listed for it at paperswithcode.com",
    ),
    Published(
        "echonet",
        "SimLVSeg",
        {"dice": "0.9332 (0.9321–0.9343)"},
        "Maani et al., arXiv:2310.00454v3, 2024, abstract",
    ),
    Published(
        "echonet",
        "EchoCardMAE",
        {"dice": "0.9296", "ef_mae": "3.78"},
        "Yang et al., MICCAI 2025, paper 2462, abstract, which calls the Dice mDice",
    ),
    Published(
        "echonet",
        "CoReEcho",
        {"ef_mae": "3.90", "ef_r2": "0.8244"},
        "Maani et al., arXiv:2403.10164v1, 2024, abstract",
    ),
    Published(
        "camus",
        "encoder-decoder networks",
        {"volume_pearson": "0.95", "volume_mae": "9.5", "ef_pearson": "0.80", "ef_mae": "5.6"},
        "Leclerc et al., IEEE TMI 38, 2019, arXiv:1908.06948, abstract",
    ),
    Published(
        "sunnybrook",
        "deep learning and deformable model",
        {"good": "96.69", "dice": "0.94", "apd": "1.81", "conformity": "0.86"},
        "Avendi et al., Medical Image Analysis 30, 2016, arXiv:1512.07951, abstract",
    ),
    Published(
        "sunnybrook",
        "other methods up to 2015",
        {"good": "79.2–95.62", "dice": "0.87–0.9", "apd": "1.76–2.97", "conformity": "0.67–0.78"},
        "as listed by Avendi et al., in the abstract",
    ),
)
