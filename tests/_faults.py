"""A small data set of simulated heartbeats, and faults of many kinds added to it, each in a different video."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from _folders import chord_lines, ellipse_chords

LIST, TRACINGS = "FileList.csv", "VolumeTracings.csv"


def read_video(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def write_frames(path: Path, frames: list[np.ndarray]) -> None:
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_OPENCV_MJPEG, code, 50, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()


def write_beating_folder(folder: Path, videos: int = 30) -> Path:
    """Write videos of 10 frames, 64 × 64: a dark ventricle with a bright wall; frames 2 (ED) and 7 (ES) are traced.

    All three splits occur, and EF and volumes in the list are computed from the contours.
    """
    (folder / "Videos").mkdir(parents=True)
    random = np.random.default_rng(0)
    listed, traced = [], []
    y, x = np.mgrid[:64, :64]
    sector = np.abs(x - 32) < y * 0.7 + 6
    for i in range(videos):
        name, centre, radii = f"v{i:02d}", random.normal((32, 34), 1.5), np.array([9, 14]) * random.normal(1, 0.08)
        es_radii = radii * random.uniform((0.6, 0.8), (0.75, 0.95))
        texture = cv2.resize(random.uniform(40, 120, (8, 8)), (64, 64), interpolation=cv2.INTER_CUBIC)
        frames = []
        for t in range(10):
            current = radii + (es_radii - radii) * (1 - np.cos(2 * np.pi * (t - 2) / 10)) / 2
            depth = np.hypot((x - centre[0]) / current[0], (y - centre[1]) / current[1])
            image = np.where(depth < 1, 25, np.where(depth < 1.5, 180, texture)) + random.normal(0, 8, (64, 64))
            grey = np.where(sector, image, 0).clip(0, 255).astype(np.uint8)
            frames.append(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        write_frames(folder / "Videos" / f"{name}.avi", frames)
        edv, esv = (4 / 3000 * np.pi * 8 * a**2 * b for a, b in (radii, es_radii))
        split = "TEST" if i < 3 else "VAL" if i < 6 else "TRAIN"
        listed.append(f"{name},{100 * (edv - esv) / edv:.3f},{esv:.3f},{edv:.3f},{split}")
        for frame, (a, b) in ((2, radii), (7, es_radii)):
            traced += chord_lines(name, frame, ellipse_chords(tuple(centre), (a, b), chords=20))
    (folder / LIST).write_text("\n".join(["FileName,EF,ESV,EDV,Split", *listed]) + "\n")
    (folder / TRACINGS).write_text("\n".join(["FileName,X1,Y1,X2,Y2,Frame", *traced]) + "\n")
    return folder


class FaultyFolder:
    """Changes the tables and videos of a data set; `write` saves the tables.

    Attributes:
        listed: The file list.
        traced: The tracings.
        train: Training videos without a fault yet; faults are added to the last of them.
        test: A test video, which stays as it is.
        expected: The findings that a check must report: kind → {(reason, video or patient)}.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listed, self.traced = (pd.read_csv(folder / name, dtype=str) for name in (LIST, TRACINGS))
        self.listed["PatientID"] = self.listed["FileName"]
        self.train = self.listed["FileName"][self.listed["Split"] == "TRAIN"].tolist()
        self.test = self.listed["FileName"][self.listed["Split"] == "TEST"].iloc[0]
        self.expected: dict[str, set[tuple[str, str]]] = {"left out": set(), "suspicious": set()}

    def write(self) -> None:
        self.listed.to_csv(self.folder / LIST, index=False)
        self.traced.to_csv(self.folder / TRACINGS, index=False)

    def next(self, kind: str, reason: str) -> str:
        """Return the next video, for which a finding is then expected."""
        name = self.train.pop()
        self.expected[kind].add((reason, name))
        return name

    def video(self, name: str) -> Path:
        return self.folder / "Videos" / f"{name}.avi"

    def frames(self, name: str) -> list[str]:
        """The traced frames of a video: ED and ES."""
        return self.traced["Frame"][self.traced["FileName"] == f"{name}.avi"].unique().tolist()

    def rows(self, name: str, index: int) -> pd.Series:
        """Whether each row of the tracings belongs to traced frame `index` of a video."""
        return (self.traced["FileName"] == f"{name}.avi") & (self.traced["Frame"] == self.frames(name)[index])

    def move(self, name: str, scale: float, shift: tuple[float, float]) -> None:
        """Scale the contour of the first frame about its centre, then shift it by fractions of the image size."""
        selected = self.rows(name, 0)
        size = read_video(self.video(name))[0].shape
        for axis, extent, fraction in (("X", size[1], shift[0]), ("Y", size[0], shift[1])):
            columns = [f"{axis}1", f"{axis}2"]
            values = self.traced.loc[selected, columns].astype(float)
            centre = values.to_numpy().mean()
            moved = centre + scale * (values - centre) + fraction * extent
            self.traced.loc[selected, columns] = moved.round(4).astype(str)

    def replace_frame(self, name: str, image: np.ndarray) -> None:
        """Replace the first traced frame."""
        frames = read_video(self.video(name))
        frames[int(self.frames(name)[0])] = image
        write_frames(self.video(name), frames)

    def add_video_faults(self) -> None:
        """Videos that are missing, unreadable or cut off."""
        self.video(self.next("left out", "file missing")).unlink()

        path = self.video(self.next("left out", "unreadable file"))
        path.unlink()
        path.symlink_to("nowhere.avi")

        name = self.next("left out", "frame beyond the end")
        data = self.video(name).read_bytes()
        starts = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)]
        self.video(name).write_bytes(data[: starts[int(self.frames(name)[1])] - 8])

        path = self.video(self.next("suspicious", "video cut off"))
        path.write_bytes(path.read_bytes()[:-40])

    def add_tracing_faults(self) -> None:
        """Tracings that are invalid, intersect themselves or are swapped."""
        name = self.next("left out", "invalid cell")
        self.traced.loc[np.flatnonzero(self.rows(name, 0))[3], "X1"] = "forty"

        name = self.next("left out", "frame beyond the end")
        self.traced.loc[self.rows(name, 1), "Frame"] = "999"

        name = self.next("suspicious", "self-intersection")
        chords, end = np.flatnonzero(self.rows(name, 0))[[5, 8]], ["X1", "Y1"]
        self.traced.loc[chords, end] = self.traced.loc[chords[::-1], end].to_numpy()

        name = self.next("suspicious", "ED and ES swapped")
        ed, es = self.frames(name)
        ed_rows, es_rows = self.rows(name, 0), self.rows(name, 1)
        self.traced.loc[ed_rows, "Frame"], self.traced.loc[es_rows, "Frame"] = es, ed

    def add_volume_faults(self) -> None:
        """Volumes and an EF that contradict each other."""
        row = self.listed["FileName"] == self.next("suspicious", "ESV greater than EDV")
        self.listed.loc[row, ["ESV", "EDV"]] = self.listed.loc[row, ["EDV", "ESV"]].to_numpy()

        name = self.next("suspicious", "EF inconsistent")
        self.listed.loc[self.listed["FileName"] == name, "EF"] = "12.5"

    def add_contour_faults(self) -> None:
        """Contours of unusual size or position, and a blank frame."""
        self.move(self.next("suspicious", "unusual size"), 2.6, (0, 0))
        self.move(self.next("suspicious", "unusual position"), 1, (-0.2, 0.15))
        self.move(self.next("suspicious", "outside the image"), 1, (0.55, 0.4))

        name = self.next("suspicious", "blank frame")
        self.replace_frame(name, np.zeros_like(read_video(self.video(name))[0]))

    def add_split_faults(self) -> None:
        """Frames, a patient and a video in two splits, and videos that are listed twice or not traced."""
        name = self.next("suspicious", "duplicate across splits")
        self.replace_frame(name, read_video(self.video(self.test))[int(self.frames(self.test)[0])])

        self.listed.loc[self.listed["FileName"].isin((self.train.pop(), self.test)), "PatientID"] = "both"
        self.expected["suspicious"].add(("patient in two splits", "both"))

        name = self.next("left out", "listed twice")
        self.listed = pd.concat([self.listed, self.listed[self.listed["FileName"] == name]])

        name = self.train.pop()
        entry = self.listed[self.listed["FileName"] == name]
        rows = self.traced[self.traced["FileName"] == f"{name}.avi"]
        self.listed = pd.concat([self.listed, entry.assign(FileName="COPY", PatientID="COPY", Split="VAL")])
        self.traced = pd.concat([self.traced, rows.assign(FileName="COPY.avi")])
        shutil.copy(self.video(name), self.video("COPY"))
        self.expected["suspicious"].add(("duplicate across splits", "COPY"))

        name = self.next("left out", "not traced")
        self.traced = self.traced[self.traced["FileName"] != f"{name}.avi"]


def add_faults(folder: Path) -> dict[str, set[tuple[str, str]]]:
    """Add a fault to each of the last training videos; there must be at least 19.

    Returns:
        The expected findings: kind → {(reason, video or patient)}.
    """
    faulty = FaultyFolder(folder)
    faulty.add_video_faults()
    faulty.add_tracing_faults()
    faulty.add_volume_faults()
    faulty.add_contour_faults()
    faulty.add_split_faults()
    faulty.write()
    return faulty.expected
