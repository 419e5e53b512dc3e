"""Some tiny videos, segmented by a network that was never trained, gone on with by --resume."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

from _folders import write_video
from echoseg.cli import main
from echoseg.training import checkpoint
from echoseg.training.config import Config
from stress._killing import Victim

VIDEOS = 24


class Archive(Victim):
    name = "predict"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.out, self.run, self.videos = self.work / "out", folder / "run", folder / "videos"
        for path in (self.run, self.videos):
            path.mkdir()
        for i in range(VIDEOS):
            write_video(self.videos / f"{i:02d}.avi", frames=3 + i % 5)
        config = Config(approach="mask", size=(32, 32), width=2, depth=2, precision="float32", device="cpu")
        config.save(self.run / checkpoint.CONFIG)
        checkpoint.save_weights(self.run / checkpoint.BEST, checkpoint.build(config)[0], config)
        self.whole: dict[str, bytes] = {}

    def act(self) -> None:
        command = ["predict", str(self.run), str(self.videos), "--out", str(self.out), "--device", "cpu", "--resume"]
        with contextlib.redirect_stdout(io.StringIO()):
            if main(command):
                raise RuntimeError("predict failed")

    def faults(self) -> list[str]:
        return [f"{name}: half written" for name, content in self._content().items() if self.whole[name] != content]

    def ended(self) -> list[str]:
        content = self._content()
        if not self.whole:
            self.whole = content
        found = self.faults()
        if content.keys() != self.whole.keys():
            found.append(f"other files than those of an uninterrupted process: {content.keys() ^ self.whole.keys()}")
        found += [f"left behind: {path.name}" for path in self.out.rglob("*.part")]
        shutil.rmtree(self.out)
        return found

    def _content(self) -> dict[str, bytes]:
        """What bears its own name; the manifest's lines are in the order in which files were done."""
        paths = [path for path in self.out.rglob("*") if path.is_file()]
        names = [path.relative_to(self.out).as_posix() for path in paths]
        return {
            name: path.read_bytes()
            for name, path in zip(names, paths, strict=True)
            if ".part" not in name and not name.startswith("manifest-")
        }
