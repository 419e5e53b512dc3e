"""Segments small videos with an untrained network and --resume."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

from _folders import write_video
from echoseg.cli import main
from echoseg.training import checkpoint
from echoseg.training.config import Config
from stress._killing import Workload

VIDEOS = 24


class Archive(Workload):
    name = "predict"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.out, self.run_folder, self.videos = self.work / "out", folder / "run", folder / "videos"
        for path in (self.run_folder, self.videos):
            path.mkdir()
        for i in range(VIDEOS):
            write_video(self.videos / f"{i:02d}.avi", frames=3 + i % 5)
        config = Config(approach="mask", size=(32, 32), width=2, depth=2, precision="float32", device="cpu")
        config.save(self.run_folder / checkpoint.CONFIG)
        checkpoint.save_weights(self.run_folder / checkpoint.BEST, checkpoint.build(config)[0], config)
        self.expected: dict[str, bytes] = {}

    def run(self) -> None:
        command = [
            "predict",
            str(self.run_folder),
            str(self.videos),
            "--out",
            str(self.out),
            "--device",
            "cpu",
            "--resume",
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            if main(command):
                raise RuntimeError("predict failed")

    def check_killed(self) -> list[str]:
        return [f"{name}: incomplete" for name, content in self._content().items() if self.expected[name] != content]

    def check_finished(self) -> list[str]:
        content = self._content()
        if not self.expected:
            self.expected = content
        found = self.check_killed()
        if content.keys() != self.expected.keys():
            found.append(f"files differ from an uninterrupted process: {content.keys() ^ self.expected.keys()}")
        found += [f"temporary file: {path.name}" for path in self.out.rglob("*.part")]
        shutil.rmtree(self.out)
        return found

    def _content(self) -> dict[str, bytes]:
        """The files with their final name, except the manifest, whose lines are in the order of processing."""
        paths = [path for path in self.out.rglob("*") if path.is_file()]
        names = [path.relative_to(self.out).as_posix() for path in paths]
        return {
            name: path.read_bytes()
            for name, path in zip(names, paths, strict=True)
            if ".part" not in name and not name.startswith("manifest-")
        }
