"""The log of a training as curves in TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from echoseg.errors import DataError


class TensorBoardLog:
    """Writes the rows of ``log.csv`` to ``RUN/tensorboard``; opened at the first row.

    Args:
        run: The run folder.

    Raises:
        DataError: TensorBoard is not installed.
    """

    def __init__(self, run: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise DataError(
                "TensorBoard is not installed; pip install 'echoseg[tensorboard]', or leave --tensorboard out"
            ) from None
        self._folder, self._make_writer = run / "tensorboard", SummaryWriter
        self._writer: Any = None

    def add(self, columns: tuple[str, ...], row: list[float]) -> None:
        """Add a row whose first value is the epoch. Rows of this and later epochs from an earlier process are dropped.

        Args:
            columns: Names of the values.
            row: The values.
        """
        epoch = int(row[0])
        if self._writer is None:
            self._writer = self._make_writer(str(self._folder), purge_step=epoch)
        for name, value in zip(columns[1:], row[1:], strict=True):
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
