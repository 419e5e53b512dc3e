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


def add_faults(folder: Path) -> dict[str, set[tuple[str, str]]]:
    """Add a fault to each of the last training videos; there must be at least 19.

    Returns:
        The expected findings: kind → {(reason, video or patient)}.
    """
    listed, traced = (pd.read_csv(folder / name, dtype=str) for name in (LIST, TRACINGS))
    listed["PatientID"] = listed["FileName"]
    train = listed["FileName"][listed["Split"] == "TRAIN"].tolist()
    test = listed["FileName"][listed["Split"] == "TEST"].tolist()
    left_out, suspicious = set(), set()

    def frames_of(name: str) -> list[str]:
        return traced["Frame"][traced["FileName"] == f"{name}.avi"].unique().tolist()

    def rows(name: str, frame: str) -> pd.Series:
        return (traced["FileName"] == f"{name}.avi") & (traced["Frame"] == frame)

    def video(name: str) -> Path:
        return folder / "Videos" / f"{name}.avi"

    def move(name: str, scale: float, shift: tuple[float, float]) -> None:
        """Scale the contour of the first frame about its centre, then shift it by shares of the image size."""
        selected = rows(name, frames_of(name)[0])
        size = read_video(video(name))[0].shape
        for axis, extent, share in (("X", size[1], shift[0]), ("Y", size[0], shift[1])):
            columns = [f"{axis}1", f"{axis}2"]
            values = traced.loc[selected, columns].astype(float)
            centre = values.to_numpy().mean()
            traced.loc[selected, columns] = (centre + scale * (values - centre) + share * extent).round(4).astype(str)

    def replace_frame(name: str, image: np.ndarray) -> None:
        frames = read_video(video(name))
        frames[int(frames_of(name)[0])] = image
        write_frames(video(name), frames)

    name = train.pop()
    video(name).unlink()
    left_out.add(("file missing", name))

    name = train.pop()
    video(name).unlink()
    video(name).symlink_to("nowhere.avi")
    left_out.add(("unreadable file", name))

    name = train.pop()
    data = video(name).read_bytes()
    starts = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)]
    video(name).write_bytes(data[: starts[int(frames_of(name)[1])] - 8])
    left_out.add(("frame beyond the end", name))

    name = train.pop()
    data = video(name).read_bytes()
    video(name).write_bytes(data[:-40])
    suspicious.add(("video cut off", name))

    name = train.pop()
    traced.loc[np.flatnonzero(rows(name, frames_of(name)[0]))[3], "X1"] = "forty"
    left_out.add(("invalid cell", name))

    name = train.pop()
    traced.loc[rows(name, frames_of(name)[1]), "Frame"] = "999"
    left_out.add(("frame beyond the end", name))

    name = train.pop()
    chords = np.flatnonzero(rows(name, frames_of(name)[0]))[5:9]
    ends = ["X1", "Y1", "X2", "Y2"]
    traced.loc[chords, ends] = traced.loc[chords, [*ends[2:], *ends[:2]]].to_numpy()
    suspicious.add(("self-intersection", name))

    name = train.pop()
    first, second = frames_of(name)
    first_rows, second_rows = rows(name, first), rows(name, second)
    traced.loc[first_rows, "Frame"], traced.loc[second_rows, "Frame"] = second, first
    suspicious.add(("ED and ES swapped", name))

    name = train.pop()
    row = listed["FileName"] == name
    listed.loc[row, ["ESV", "EDV"]] = listed.loc[row, ["EDV", "ESV"]].to_numpy()
    suspicious.add(("ESV greater than EDV", name))

    name = train.pop()
    listed.loc[listed["FileName"] == name, "EF"] = "12.5"
    suspicious.add(("EF inconsistent", name))

    name = train.pop()
    move(name, 2.6, (0, 0))
    suspicious.add(("unusual size", name))

    name = train.pop()
    move(name, 1, (-0.2, 0.15))
    suspicious.add(("unusual position", name))

    name = train.pop()
    move(name, 1, (0.55, 0.4))
    suspicious.add(("outside the image", name))

    name = train.pop()
    replace_frame(name, np.zeros_like(read_video(video(name))[0]))
    suspicious.add(("blank frame", name))

    name = train.pop()
    replace_frame(name, read_video(video(test[0]))[int(frames_of(test[0])[0])])
    suspicious.add(("duplicate across splits", name))

    name = train.pop()
    listed.loc[listed["FileName"].isin((name, test[0])), "PatientID"] = "both"
    suspicious.add(("patient in two splits", "both"))

    name = train.pop()
    listed = pd.concat([listed, listed[listed["FileName"] == name]])
    left_out.add(("listed twice", name))

    name = train.pop()
    copy = listed[listed["FileName"] == name].assign(FileName="COPY", PatientID="COPY", Split="VAL")
    listed = pd.concat([listed, copy])
    traced = pd.concat([traced, traced[traced["FileName"] == f"{name}.avi"].assign(FileName="COPY.avi")])
    shutil.copy(video(name), video("COPY"))
    suspicious.add(("duplicate across splits", "COPY"))

    name = train.pop()
    traced = traced[traced["FileName"] != f"{name}.avi"]
    left_out.add(("not traced", name))

    listed.to_csv(folder / LIST, index=False)
    traced.to_csv(folder / TRACINGS, index=False)
    return {"left out": left_out, "suspicious": suspicious}
