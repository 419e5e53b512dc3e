"""Small valid EchoNet folders for tests, and functions to change them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FRAMES = 8
SIZE = (40, 48)
TRACED = (2, 5)
SUNNYBROOK = Path(__file__).parents[2] / "shared/data/sunnybrook"


def grey_of(frame: int) -> int:
    """The approximate value of all pixels of a frame, so that tests can identify frames."""
    return 20 + 25 * frame


def write_video(path: Path, *, frames: int = FRAMES, size: tuple[int, int] = SIZE, code: str = "MJPG") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 50, size[::-1], isColor=True)
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(np.full((*size, 3), grey_of(frame), dtype=np.uint8))
    writer.release()
    return path


def write_frames_avi(path: Path, frames: list[np.ndarray]) -> Path:
    """Write (H, W) uint8 frames as Motion JPEG."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 50, frames[0].shape[::-1], isColor=True)
    assert writer.isOpened()
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def ellipse_chords(centre=(24.0, 20.0), radii=(8.0, 14.0), chords: int = 9) -> np.ndarray:
    """(1 + chords, 4): the long axis from top to bottom, then chords from the top downwards."""
    (x, y), (a, b) = centre, radii
    height = y - b * np.cos(np.linspace(0.1, np.pi - 0.1, chords))
    half = a * np.sqrt(1 - ((height - y) / b) ** 2)
    return np.concatenate([[[x, y - b, x, y + b]], np.stack([x - half, height, x + half, height], axis=1)])


def chord_lines(name: str, frame: object, rows: np.ndarray) -> list[str]:
    return [f"{name}.avi," + ",".join(f"{value:.4f}" for value in row) + f",{frame}" for row in rows]


def write_folder(folder: Path, names=("a", "b", "c"), *, splits=("TRAIN", "VAL", "TEST"), size=SIZE) -> Path:
    """Write a folder with chords: frames 2 (small, ES) and 5 (large, ED) of each video are traced with 10 rows each.

    FileList.csv: video i is row 2 + i. VolumeTracings.csv: frame 2 of video i is rows 2 + 20 i to 11 + 20 i, frame 5
    the ten rows after.
    """
    (folder / "Videos").mkdir(parents=True)
    listed = ["FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"]
    traced = ["FileName,X1,Y1,X2,Y2,Frame"]
    for i, name in enumerate(names):
        write_video(folder / "Videos" / f"{name}.avi", size=size)
        listed.append(f"{name},{55 + i}.5,40.25,90,768,1024,50,200,{splits[i % len(splits)]}")
        for frame, width in zip(TRACED, (6.0 + i, 9.0 + i), strict=True):
            traced += chord_lines(name, frame, ellipse_chords(radii=(width, 14.0)))
    (folder / "FileList.csv").write_text("\n".join(listed) + "\n")
    (folder / "VolumeTracings.csv").write_text("\n".join(traced) + "\n")
    return folder


def write_points_folder(folder: Path, names=("a", "b")) -> Path:
    """Write a folder with points, as EchoNet-Pediatric: no EF, volumes or split; frame 2 is traced with 12 points."""
    (folder / "Videos").mkdir(parents=True)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    traced = ["FileName,X,Y,Frame"]
    for name in names:
        write_video(folder / "Videos" / f"{name}.avi")
        traced += [f"{name}.avi,{24 + 9 * np.cos(a):.4f},{20 + 12 * np.sin(a):.4f},2" for a in angle]
    (folder / "FileList.csv").write_text("FileName\n" + "".join(f"{name}.avi\n" for name in names))
    (folder / "VolumeTracings.csv").write_text("\n".join(traced) + "\n")
    return folder


def set_cell(path: Path, row: int, column: int, text: str) -> None:
    """Replace one cell; row 1 is the header."""
    lines = path.read_text(encoding="utf-8").split("\n")
    cells = lines[row - 1].split(",")
    cells[column] = text
    lines[row - 1] = ",".join(cells)
    path.write_text("\n".join(lines), encoding="utf-8")


def edit_lines(path: Path, change) -> None:
    """Change the lines of a file; `change` modifies the list in place."""
    lines = path.read_text(encoding="utf-8").split("\n")
    change(lines)
    path.write_text("\n".join(lines), encoding="utf-8")
