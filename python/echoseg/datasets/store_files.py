"""Reads and writes the files of a store, and checks that each file is unchanged since it was written.

- `frames.npy` (N, H, W) uint8, `points.npy` (M, 2) float32, `offsets.npy` (N+1,) int64: image i has the contour
  `points[offsets[i]:offsets[i + 1]]`, which is empty for a blank slice.
- `samples.csv`: one row of metadata per image.
- `observers.csv`, if several observers traced some images: their contours, one row per point, and among them the
  contours in `points.npy`.
- `manifest.json`: versions, the source, the faults, the SHA-256 of the other files and of each source file, and a
  checksum of itself.
"""

from __future__ import annotations

import importlib.metadata
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from echoseg.datasets.samples import CROP_COLUMNS
from echoseg.errors import DataError
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import hash_file

Observers: TypeAlias = Mapping[str, Mapping[int, NDArray[np.float32]]]
"""Observer → index of the image → contour, (P, 2) float32, pixels of the store's frames."""
FORMAT = 9
"""Version of the format; increased when existing stores would be read incorrectly. Stores of format 4 lack the blank
slices, so the volumes of their stacks would be too small; those of format 6 lack what a check reports of masks, those
of format 7 the quality of images and the sex and age of patients. Of format 8, some patients, phases, EF and masks of
palettes are read otherwise now."""
CURE = "run echoseg prepare again"

_ARRAYS = {"frames.npy": (np.uint8, 3), "points.npy": (np.float32, 2), "offsets.npy": (np.int64, 1)}
_HASHED = (*_ARRAYS, "samples.csv")
_OBSERVERS = "observers.csv"
_TEXT_COLUMNS = ("video", "patient", "phase", "split", "view")
_INTEGER_COLUMNS = ("frame", "row", "height", "width")
_ORIGIN = {"path": "", "file": "", "list_row": 0, "pieces": 0.0, "holes": 0.0, "turned": 0}  # and their defaults
_SUBGROUPS = {"quality": "", "sex": "", "age": float("nan")}  # and their defaults
_ADDED_COLUMNS = ("blank", *CROP_COLUMNS)  # integers too, which `write_metadata` adds where they are missing
_FLOAT_COLUMNS = ("fps", "ef", "edv", "esv", "spacing_y", "spacing_x", "thickness")


def write_frames(folder: Path, images: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> int:
    """Write `frames.npy` image by image, so that the frames need not fit into memory.

    Args:
        folder: The folder to write to.
        images: Arrays (H, W) uint8.
        size: (H, W).

    Returns:
        The number of images.
    """

    def header(count: int) -> dict[str, Any]:
        return {"descr": "|u1", "fortran_order": False, "shape": (count, *size)}

    count = 0
    with (folder / "frames.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header(0))  # NumPy leaves room for the first axis to grow
        start = file.tell()
        for image in images:
            file.write(np.ascontiguousarray(image).data)
            count += 1
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header(count))
        if file.tell() != start:
            raise RuntimeError("the header of frames.npy has overwritten the first frame")
    return count


def write_metadata(
    folder: Path,
    shape: tuple[int, ...],
    contours: Sequence[NDArray[np.float32]],
    samples: pd.DataFrame,
    manifest: dict[str, Any],
    observers: Observers | None = None,
) -> None:
    """Write all files except `frames.npy`, which must exist.

    Args:
        folder: The folder to write to.
        shape: (N, H, W) of the frames.
        contours: N arrays (P, 2) float32, pixels; (0, 2) for a blank slice.
        samples: N rows. Without the columns of the crop, the whole frame is the sample; without those of the origin or
            of subgroups, these are unknown.
        manifest: Entries of the manifest.
        observers: The contours of images that several observers traced.

    Raises:
        ValueError: A column is missing, or a contour has too few points, the wrong shape or a value that is not finite.
    """
    missing = [name for name in (*_TEXT_COLUMNS, *_INTEGER_COLUMNS, *_FLOAT_COLUMNS) if name not in samples]
    if missing:
        raise ValueError(f"samples: no column {', '.join(missing)}")
    for index, contour in enumerate(contours):
        if contour.ndim != 2 or contour.shape[1] != 2 or len(contour) in (1, 2) or not np.isfinite(contour).all():
            raise ValueError(f"contours[{index}]: expected (P, 2) finite with P of at least 3, got {contour.shape}")
    if not any(map(len, contours)):
        raise ValueError("contours: all are blank")
    offsets = np.zeros(len(contours) + 1, dtype=np.int64)
    np.cumsum([len(contour) for contour in contours], out=offsets[1:])
    np.save(folder / "points.npy", np.concatenate(contours).astype(np.float32))
    np.save(folder / "offsets.npy", offsets)
    defaults = {
        **dict(zip(CROP_COLUMNS, (0, 0, samples["height"], samples["width"]), strict=True)),
        **_ORIGIN,
        **_SUBGROUPS,
    }
    samples = samples.assign(**{name: value for name, value in defaults.items() if name not in samples})
    samples.assign(blank=(np.diff(offsets) == 0).astype(int)).to_csv(folder / "samples.csv", index=False)
    if observers:
        _write_observers(folder / _OBSERVERS, observers)
    entries = {
        "ordering": None,
        "fov_mm": None,
        "source": "",
        "faults": [],
        **manifest,
        "format": FORMAT,
        "echoseg": _package_version(),
        "size": list(shape[1:]),
        "samples": shape[0],
        "patients": int(samples["patient"].nunique()),
        "sha256": {name: hash_file(folder / name) for name in (*_HASHED, *([_OBSERVERS] if observers else []))},
    }
    text = json.dumps(add_checksum(entries), indent=1, ensure_ascii=False)
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and check `manifest.json`.

    Raises:
        DataError: The file is missing, damaged, incomplete or of another format version.
    """
    path = folder / "manifest.json"
    try:
        text = path.read_text(encoding="utf-8")
        manifest = parse(text)
        if manifest.get("format") == FORMAT:
            parse(text, required=True)
    except FileNotFoundError:
        raise DataError(f"{path}: missing, so {folder} is not a store; {CURE}") from None
    except (OSError, ValueError):
        raise DataError(f"{path}: damaged; {CURE}") from None
    if manifest.get("format") != FORMAT:
        raise DataError(f"{path}: has format {manifest.get('format')!r}, this version reads {FORMAT}; {CURE}")
    if not {"samples", "size", "ordering", "fov_mm", "faults", "sha256"} <= manifest.keys():
        raise DataError(f"{path}: is incomplete; {CURE}")
    return manifest


def check_hashes(folder: Path, sha256: dict[str, str]) -> None:
    """Compare the files with their SHA-256 in the manifest.

    Raises:
        DataError: A file cannot be read, or was changed.
    """
    for name in (*_HASHED, *({_OBSERVERS} & sha256.keys())):
        try:
            actual = hash_file(folder / name)
        except OSError as error:
            raise DataError(f"{folder / name}: cannot be read ({error.strerror}); {CURE}") from None
        if actual != sha256.get(name):
            raise DataError(f"{folder / name}: damaged, its content does not match its checksum; {CURE}")


def map_arrays(folder: Path) -> list[NDArray[Any]]:
    """Memory-map frames, points and offsets, read-only.

    Raises:
        DataError: A file is missing, damaged, or has another dtype or number of dimensions.
    """
    return [_map_array(folder / name, *expected) for name, expected in _ARRAYS.items()]


class FileMap(NamedTuple):
    """Where an array is mapped from, to be pickled in place of its content."""

    path: Path
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]

    def open(self) -> NDArray[Any]:
        """Map the array again, read-only.

        Raises:
            OSError: The file cannot be read.
        """
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)


def without_content(value: Any) -> Any:
    """The `FileMap` of an array that is mapped read-only from a file as a whole; anything else as it is."""
    if (
        isinstance(value, np.memmap)
        and value.mode == "r"
        and isinstance(value.base, mmap.mmap)
        and value.flags.c_contiguous
    ):
        return FileMap(Path(str(value.filename)), value.dtype, value.offset, value.shape)
    return value


def read_samples(folder: Path) -> pd.DataFrame:
    """Read `samples.csv`; see `Store.samples`.

    Raises:
        DataError: The file is missing or damaged, or lacks columns.
    """
    path = folder / "samples.csv"
    dtypes: dict[str, type] = dict.fromkeys((*_TEXT_COLUMNS, *_FLOAT_COLUMNS, *_SUBGROUPS), str)
    dtypes |= dict.fromkeys((*_INTEGER_COLUMNS, *_ADDED_COLUMNS), int)
    dtypes |= {name: type(default) for name, default in _ORIGIN.items()}
    try:
        samples = pd.read_csv(path, dtype=dtypes, keep_default_na=False)
        # by float(), since some versions of pandas do not read a float back exactly
        columns = [name for name in (*_FLOAT_COLUMNS, "age") if name in samples]
        numbers = {name: [float(cell or "nan") for cell in samples[name]] for name in columns}
    except (OSError, ValueError):
        raise DataError(f"{path}: missing or damaged; {CURE}") from None
    if not dtypes.keys() <= set(samples.columns):
        raise DataError(f"{path}: lacks columns; {CURE}")
    return samples.assign(**numbers)


def read_observers(folder: Path, sha256: dict[str, str]) -> Observers:
    """Read `observers.csv`; empty if the store has none.

    Args:
        folder: The store.
        sha256: The names and hashes in the manifest, which have been checked.

    Raises:
        DataError: The file is damaged.
    """
    if _OBSERVERS not in sha256:
        return {}
    observers: dict[str, dict[int, NDArray[np.float32]]] = {}
    try:
        table = pd.read_csv(folder / _OBSERVERS, dtype=dict.fromkeys(("observer", "x", "y"), str), na_filter=False)
        for (observer, index), rows in table.groupby(["observer", "sample"], sort=False):
            points = [[float(x), float(y)] for x, y in zip(rows["x"], rows["y"], strict=True)]
            observers.setdefault(str(observer), {})[int(index)] = np.array(points, np.float32)
    except (OSError, ValueError, KeyError):
        raise DataError(f"{folder / _OBSERVERS}: missing or damaged; {CURE}") from None
    return observers


def _write_observers(path: Path, observers: Observers) -> None:
    tables = [
        pd.DataFrame(contour, columns=["x", "y"]).assign(observer=observer, sample=index)
        for observer, contours in observers.items()
        for index, contour in contours.items()
    ]
    pd.concat(tables)[["observer", "sample", "x", "y"]].to_csv(path, index=False)


def _package_version() -> str:
    try:
        return importlib.metadata.version("echoseg")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def _map_array(path: Path, dtype: type, dimensions: int) -> NDArray[Any]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # accepts neither archives nor objects
    except (OSError, ValueError, EOFError):
        raise DataError(f"{path}: missing or damaged; {CURE}") from None
    complete = isinstance(array, np.memmap) and path.stat().st_size == array.offset + array.nbytes
    if not complete or array.dtype != dtype or array.ndim != dimensions or not len(array):
        raise DataError(f"{path}: damaged, {array.dtype} {array.shape}; {CURE}")
    return array
