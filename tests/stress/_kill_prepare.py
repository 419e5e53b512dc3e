"""Prepares a data set of a few small videos, alternating between a given store and the cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from _folders import write_folder
from echoseg.datasets.store import open_store, prepare
from echoseg.errors import DataError
from stress._killing import Workload


class Preparation(Workload):
    name = "prepare"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = write_folder(folder / "data", names=[f"video{i}" for i in range(8)])
        self.rounds = 0
        os.environ["ECHOSEG_CACHE"] = str(folder / "other cache")
        self.expected = _content(prepare(self.data, size=(32, 32)).path)
        os.environ["ECHOSEG_CACHE"] = str(self.work / "cache")

    def run(self) -> None:
        prepare(self.data, self.work / "named" if self.rounds % 2 else None, size=(32, 32))

    def check_killed(self) -> list[str]:
        found = []
        stores = [path for path in self._stores() if not path.name.startswith(".")]
        for path in stores:
            try:
                open_store(path)
            except DataError as error:
                found.append(str(error))
            if _content(path) != self.expected:
                found.append(f"{path}: differs from the result of an uninterrupted process")
        if stores:  # killed when the task was finished
            found += self._temporary_folders()
            self._start_again()
        return found

    def check_finished(self) -> list[str]:
        found = self.check_killed() if list(self._stores()) else ["no store"]
        return found + self._temporary_folders()

    def _stores(self) -> list[Path]:
        cache = self.work / "cache" / "stores"
        return [*self.work.glob("*named*"), *(cache.iterdir() if cache.exists() else ())]

    def _temporary_folders(self) -> list[str]:
        """Temporary folders of killed processes, which the process that wrote the store had to remove."""
        return [f"temporary folder: {path.name}" for path in self._stores() if path.name.startswith(".")]

    def _start_again(self) -> None:
        self.rounds += 1
        for path in self._stores():
            shutil.rmtree(path)


def _content(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}
