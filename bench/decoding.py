"""From videos to training images: `prepare` once, compared with a loader that decodes whole clips in every epoch.

    python bench/decoding.py           # 1,000 videos of 100 frames; some minutes, mostly for writing the videos

The whole-clip loader works like that of echonet/dynamic (`echonet.utils.loadvideo`): two worker processes decode each
frame by OpenCV, and convert it to RGB and float32. The frames are not sent to the main process, which favours this
loader. Floors: reading the bytes of the files, and an epoch with an existing store. The videos are ten copies each of
100 phantoms, whose 60 frames are repeated. Two frames of each video are traced, as in EchoNet-Dynamic.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from torch.utils.data import DataLoader, Dataset

from echoseg.datasets.echonet import FILE_LIST, VIDEOS
from echoseg.datasets.store import prepare
from echoseg.datasets.tracings import TRACINGS
from echoseg.io.reading import read_frames
from echoseg.phantom import write_phantom

FRAMES, COPIES = 100, 10


def write_videos(folder: Path, count: int) -> None:
    source = write_phantom(folder.with_name("source"), videos=max(1, count // COPIES))
    (folder / VIDEOS).mkdir(parents=True)
    files, tracings = pd.read_csv(source / FILE_LIST), pd.read_csv(source / TRACINGS)
    tables: dict[str, list[pd.DataFrame]] = {FILE_LIST: [], TRACINGS: []}
    for path in sorted((source / VIDEOS).iterdir()):
        encoded = _as_long_video(path, folder / "one.avi")
        name = path.stem
        for copy in range(COPIES):
            (folder / VIDEOS / f"{name}-{copy}.avi").write_bytes(encoded)
            tables[FILE_LIST].append(files[files["FileName"] == name].assign(FileName=f"{name}-{copy}"))
            traced = tracings[tracings["FileName"] == path.name]
            tables[TRACINGS].append(traced.assign(FileName=f"{name}-{copy}.avi"))
    for table, parts in tables.items():
        pd.concat(parts).to_csv(folder / table, index=False)


def _as_long_video(path: Path, temporary: Path) -> bytes:
    frames = read_frames(path)
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter_fourcc(*"MJPG"), 50, frames.shape[:0:-1], isColor=False)
    for frame in np.resize(frames, (FRAMES, *frames.shape[1:])):
        writer.write(frame)
    writer.release()
    encoded = temporary.read_bytes()
    temporary.unlink()
    return encoded


class WholeClips(Dataset):
    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> int:
        capture = cv2.VideoCapture(str(self.paths[i]))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        height, width = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        clip = np.zeros((count, height, width, 3), np.uint8)
        for frame in clip:
            frame[:] = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
        return clip.transpose(3, 0, 1, 2).astype(np.float32).shape[1]


def seconds(run: Callable[[], Any]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        write_videos(folder, arguments.videos)
        paths = sorted((folder / VIDEOS).iterdir())
        clips = DataLoader(WholeClips(paths), batch_size=None, num_workers=2)

        reading = seconds(lambda: [path.read_bytes() for path in paths])
        preparing = seconds(lambda: prepare(folder, Path(name) / "store"))
        store = prepare(Path(name) / "store")
        if len(store) != 2 * len(paths):
            raise RuntimeError(f"{len(store)} images of {len(paths)} videos")
        epoch = seconds(lambda: np.array(store.frames))
        whole = seconds(lambda: list(clips))
        for what, took in (
            ("floor: the files' bytes", reading),
            ("prepare, once", preparing),
            ("  then an epoch's images", epoch),
            ("whole clips, each epoch", whole),
        ):
            print(f"{what:26s} {took:8.2f} s  {len(paths) / took:9.0f} videos/s  {took / preparing:6.2f} of prepare")


if __name__ == "__main__":
    main()
