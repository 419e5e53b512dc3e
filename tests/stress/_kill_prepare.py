"""A data set of a few tiny videos, prepared into a named store and into the cache by turns."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from _folders import write_folder
from echoseg.datasets.store import open_store, prepare
from echoseg.errors import DataError
from stress._killing import Victim


class Preparation(Victim):
    name = "prepare"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = write_folder(folder / "data", names=[f"video{i}" for i in range(8)])
        self.rounds = 0
        os.environ["ECHOSEG_CACHE"] = str(folder / "other cache")
        self.whole = _content(prepare(self.data, size=(32, 32)).path)
        os.environ["ECHOSEG_CACHE"] = str(self.work / "cache")

    def act(self) -> None:
        prepare(self.data, self.work / "named" if self.rounds % 2 else None, size=(32, 32))

    def faults(self) -> list[str]:
        found = []
        stores = [path for path in self._stores() if not path.name.startswith(".")]
        for path in stores:
            try:
                open_store(path)
            except DataError as error:
                found.append(str(error))
            if _content(path) != self.whole:
                found.append(f"{path}: not what an uninterrupted process leaves")
        if stores:  # killed at its very end
            found += self._left_behind()
            self._begin_anew()
        return found

    def ended(self) -> list[str]:
        found = self.faults() if list(self._stores()) else ["no store"]
        return found + self._left_behind()

    def _stores(self) -> list[Path]:
        cache = self.work / "cache" / "stores"
        return [*self.work.glob("*named*"), *(cache.iterdir() if cache.exists() else ())]

    def _left_behind(self) -> list[str]:
        """Of the processes killed before: the last one that wrote a store had to remove it."""
        return [f"left behind: {path.name}" for path in self._stores() if path.name.startswith(".")]

    def _begin_anew(self) -> None:
        self.rounds += 1
        for path in self._stores():
            shutil.rmtree(path)


def _content(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}
