"""A store: the traced frames of a data set, decoded once and kept where training maps them into memory.

A folder of five files:

- `frames.npy` (N, H, W) uint8, `points.npy` (M, 2) float32, `offsets.npy` (N+1,) int64: image i has the contour
  `points[offsets[i]:offsets[i + 1]]`;
- `samples.csv`: one row an image, what is known of it;
- `manifest.json`: versions, where it came from, what was left out and why, the SHA-256 of the other files and of each
  file that it was made of, and its own.

It appears whole or not at all: everything is written to a folder beside it, forced to disk, and renamed. It is opened
only if every file is what was written, which takes about a second a gigabyte.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from echoseg.datasets.corrections import correct, corrections_file
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.recording import Fault
from echoseg.datasets.samples import decode_dataset
from echoseg.datasets.source_files import hash_files, hash_source
from echoseg.errors import DataError
from echoseg.geometry.contour import ORDERINGS
from echoseg.utils.cache import cache_folder
from echoseg.utils.checksum import add_checksum, parse
from echoseg.utils.files import hash_file, new_folder, remove_abandoned

FORMAT = 3
"""Raised whenever a store written before would mean something else now."""

_ARRAYS = {"frames.npy": (np.uint8, 3), "points.npy": (np.float32, 2), "offsets.npy": (np.int64, 1)}
_HASHED = (*_ARRAYS, "samples.csv")
_TEXT = ("video", "patient", "phase", "split", "view")
_WHOLE = ("frame", "row", "height", "width")
_REAL = ("fps", "ef", "edv", "esv", "spacing_y", "spacing_x", "thickness")
_AGAIN = "run echoseg prepare again"


@dataclass(frozen=True, eq=False)
class Store:
    """Decoded frames with their contours.

    Attributes:
        path: The folder.
        frames: (N, H, W) uint8, grey, mapped read-only.
        points: (M, 2) float32, pixels of the frames: all contours, one after the other.
        offsets: (N+1,) int64: contour i is `points[offsets[i]:offsets[i + 1]]`.
        samples: One row an image: video, frame, patient, phase ("ED", "ES" or ""), split (the raw cell), view,
            row (of the tracing file), height and width (pixels, of the video), fps, ef (percent), edv and esv (ml),
            spacing_y and spacing_x (mm a pixel of these frames), thickness (mm from slice to slice); nan if unknown.
        manifest: As written, with `faults` as dicts of file, row and reason.
    """

    path: Path
    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    offsets: NDArray[np.int64]
    samples: pd.DataFrame
    manifest: dict[str, Any]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def has_chords(self) -> bool:
        """Whether a contour runs along the first ends of a tracing's chords, then back along the second ones."""
        return self.manifest.get("kind") == self.manifest["ordering"] == "chords"

    def contour(self, index: int) -> NDArray[np.float32]:
        """(P, 2) float32, pixels: the contour of image `index`."""
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of a store of {len(self)}")
        return self.points[self.offsets[index] : self.offsets[index + 1]]


def open_store(path: str | Path) -> Store:
    """Open a store; frames stay on disk until they are looked at.

    Args:
        path: The folder.

    Raises:
        DataError: A file is missing, damaged, of another format version, or does not fit the others.
    """
    path = Path(path)
    manifest = _read_manifest(path / "manifest.json")
    _check_files(path, manifest["sha256"])
    frames, points, offsets = (_map_array(path / name, *kind) for name, kind in _ARRAYS.items())
    count = len(frames)
    if points.shape[1] != 2:
        raise DataError(f"{path / 'points.npy'}: shape {points.shape}, not (M, 2); {_AGAIN}")
    fits = len(offsets) == count + 1 and offsets[0] == 0 and offsets[-1] == len(points)
    if not fits or (np.diff(offsets) < 3).any():
        raise DataError(f"{path / 'offsets.npy'}: does not fit {count} frames and {len(points)} points; {_AGAIN}")
    if list(frames.shape) != [manifest["samples"], *manifest["size"]]:
        raise DataError(f"{path / 'frames.npy'}: shape {frames.shape} is not the manifest's; {_AGAIN}")
    samples = _read_samples(path / "samples.csv")
    if len(samples) != count:
        raise DataError(f"{path / 'samples.csv'}: {len(samples)} rows for {count} frames; {_AGAIN}")
    return Store(path, frames, points, offsets, samples, manifest)


def is_store(path: str | Path) -> bool:
    """Whether a folder is a store; nothing in it is read."""
    return (Path(path) / "manifest.json").is_file()


def write_store(
    out: str | Path,
    frames: NDArray[np.uint8],
    contours: Sequence[NDArray[np.float32]],
    samples: pd.DataFrame,
    manifest: dict[str, Any],
) -> Store:
    """Write a store; it appears whole or not at all.

    Args:
        out: A folder that does not exist.
        frames: (N, H, W) uint8.
        contours: N arrays (P, 2) float32, pixels, at least three points each.
        samples: N rows with at least the columns that `Store` names.
        manifest: What to remember; `faults` (dicts of file, row, reason), `ordering` and `source` are kept for it.

    Raises:
        FileExistsError: `out` exists.
        ValueError: The parts do not fit each other.
    """
    if frames.ndim != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames: expected (N, H, W) uint8, got {frames.shape} {frames.dtype}")
    if not len(frames) == len(contours) == len(samples):
        raise ValueError(f"{len(frames)} frames, {len(contours)} contours and {len(samples)} samples do not match")
    with new_folder(Path(out)) as folder:
        np.save(folder / "frames.npy", np.ascontiguousarray(frames))
        _write_rest(folder, frames.shape, contours, samples, manifest)
    return open_store(out)


def prepare(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    size: tuple[int, int] = (112, 112),
    ordering: str | None = None,
    fov_mm: float | None = None,
    corrections: str | Path | None = None,
    strict: bool = False,
) -> Store:
    """Decode the traced frames of a data set once.

    Args:
        folder: A data set of any format in `echoseg.datasets.formats`, or a store, which is then opened as it is.
        out: The store to write; must not exist. None keeps it in the cache folder, and takes it from there the next
            time as long as the files (name, size, time of change) and the other arguments are the same.
        size: (H, W) of the frames; points move with the pixels.
        ordering: A name in `echoseg.geometry.contour.ORDERINGS`; None keeps the tracing's own order.
        fov_mm: Side of the middle square to keep, mm; None, and where the spacing is unknown: the whole frame.
        corrections: What `echoseg review` wrote: its tracings take the place of the data set's own.
        strict: Refuse a data set with faults instead of leaving those samples out.

    Raises:
        DataError: Nothing usable, faults where `strict`, or a store of another size, ordering or fov_mm.
        FileExistsError: `out` exists.
        ValueError: The ordering is unknown or `size` or `fov_mm` is not positive.
    """
    folder = Path(folder)
    size = (int(size[0]), int(size[1]))
    if min(size) < 1:
        raise ValueError(f"size: expected (H, W) of at least 1, got {size}")
    if fov_mm is not None and not fov_mm > 0:
        raise ValueError(f"fov_mm: expected more than 0 mm, got {fov_mm}")
    if ordering is not None and ordering not in ORDERINGS:
        raise ValueError(f"unknown ordering {ordering!r}; known: {', '.join(ORDERINGS)}")
    table = None if corrections is None else corrections_file(corrections)
    if is_store(folder):
        if out is not None or corrections is not None:
            raise DataError(f"{folder}: is a store already; use it as it is, or give the folder it was made from")
        store = _open_as(folder, size, ordering, fov_mm)
    elif out is not None:
        store = _prepare(folder, Path(out), strict, table, size=size, ordering=ordering, fov_mm=fov_mm)
    else:
        store = _prepare_cached(folder, strict, table, size=size, ordering=ordering, fov_mm=fov_mm)
    if strict:
        _refuse_faults(folder, [Fault(**fault) for fault in store.manifest["faults"]])
    return store


def _open_as(path: Path, size: tuple[int, int], ordering: str | None, fov_mm: float | None) -> Store:
    """Open a store that must be of a size, a fov_mm and, if one is asked for, an ordering."""
    store = open_store(path)
    if store.size != size:
        raise DataError(
            f"{path}: holds frames of size {store.size}, asked for {size}; use that size, or prepare the data anew"
        )
    if ordering not in (None, store.manifest["ordering"]):
        held = store.manifest["ordering"]
        raise DataError(f"{path}: holds contours in the ordering {held!r}, asked for {ordering!r}; use that")
    if fov_mm != store.manifest["fov_mm"] and store.samples["spacing_y"].notna().any():
        raise DataError(f"{path}: holds a fov_mm of {store.manifest['fov_mm']} mm, asked for {fov_mm}; use that")
    return store


def _prepare_cached(folder: Path, strict: bool, corrections: Path | None, **options: Any) -> Store:
    """The cached store of a data set, made if it is not there or damaged."""
    source = hash_source(folder, corrections, (FORMAT, sorted(options.items())))
    path = cache_folder() / "stores" / source[:32]
    remove_abandoned(path.parent.glob(".*.????????.part"))
    if path.exists():
        try:
            return open_store(path)
        except DataError:
            shutil.rmtree(path, ignore_errors=True)
    try:
        return _prepare(folder, path, strict, corrections, source, **options)
    except FileExistsError:  # another process made the same store meanwhile
        return open_store(path)


def _prepare(
    folder: Path, out: Path, strict: bool, corrections: Path | None, source: str = "", **options: Any
) -> Store:
    """Read, decode and write."""
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    dataset = read_dataset(folder)
    if corrections is not None:
        dataset = correct(dataset, corrections)
    faults = list(dataset.faults)
    if strict:
        _refuse_faults(folder, faults)
    contours: list[NDArray[np.float32]] = []
    facts: list[dict[str, Any]] = []

    def images() -> Iterator[NDArray[np.uint8]]:
        bar = tqdm(total=len(dataset.recordings), desc="decode", unit="video", disable=None)
        with bar:
            for decoded in decode_dataset(dataset, **options):
                faults.extend(decoded.faults)
                for sample in decoded.samples:
                    contours.append(sample.contour)
                    facts.append(sample.facts)
                    yield sample.image
                bar.update()

    with new_folder(out) as temporary:
        count = _write_frames(temporary / "frames.npy", images(), options["size"])
        if strict:
            _refuse_faults(folder, faults)
        if count == 0:
            raise DataError(f"{folder}: nothing usable in it; {faults[0]} (fault 1 of {len(faults)})")
        manifest = {
            "source": source or hash_source(folder, corrections, (FORMAT, sorted(options.items()))),
            "folder": str(folder.resolve()),
            "kind": dataset.kind,
            "ordering": options["ordering"] or ("chords" if dataset.kind == "chords" else "given"),
            "fov_mm": options["fov_mm"],
            "empty": dataset.empty,
            "files": hash_files(folder),
            "faults": [asdict(fault) for fault in faults],
        }
        _write_rest(temporary, (count, *options["size"]), contours, pd.DataFrame(facts), manifest)
    return open_store(out)


def _refuse_faults(folder: Path, faults: Sequence[Fault]) -> None:
    if faults:
        raise DataError(f"{folder}: {faults[0]} (fault 1 of {len(faults)}); mend them or do without strict")


def _write_frames(path: Path, images: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> int:
    """Write an .npy file image by image; only at the end is it known how many there are."""

    def header(count: int) -> dict[str, Any]:
        return {"descr": "|u1", "fortran_order": False, "shape": (count, *size)}

    count = 0
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header(0))  # NumPy leaves room for the first axis to grow
        start = file.tell()
        for image in images:
            file.write(np.ascontiguousarray(image).data)
            count += 1
        file.seek(0)
        np.lib.format.write_array_header_1_0(file, header(count))
        if file.tell() != start:
            raise RuntimeError("the header of frames.npy grew over the first frame")
    return count


def _write_rest(
    folder: Path,
    shape: tuple[int, ...],
    contours: Sequence[NDArray[np.float32]],
    samples: pd.DataFrame,
    manifest: dict[str, Any],
) -> None:
    """Everything but the frames."""
    lacking = [name for name in (*_TEXT, *_WHOLE, *_REAL) if name not in samples]
    if lacking:
        raise ValueError(f"samples: no column {', '.join(lacking)}")
    for index, contour in enumerate(contours):
        if contour.ndim != 2 or contour.shape[1] != 2 or len(contour) < 3 or not np.isfinite(contour).all():
            raise ValueError(f"contours[{index}]: expected (P, 2) finite with P of at least 3, got {contour.shape}")
    offsets = np.zeros(len(contours) + 1, dtype=np.int64)
    np.cumsum([len(contour) for contour in contours], out=offsets[1:])
    np.save(folder / "points.npy", np.concatenate(contours).astype(np.float32))
    np.save(folder / "offsets.npy", offsets)
    samples.to_csv(folder / "samples.csv", index=False)
    everything = {
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
        "sha256": {name: hash_file(folder / name) for name in _HASHED},
    }
    (folder / "manifest.json").write_text(
        json.dumps(add_checksum(everything), indent=1, ensure_ascii=False), encoding="utf-8"
    )


def _package_version() -> str:
    try:
        return importlib.metadata.version("echoseg")
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return "unknown"


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        manifest = parse(text)
        if manifest.get("format") == FORMAT:
            parse(text, required=True)
    except FileNotFoundError:
        raise DataError(f"{path}: missing, so {path.parent} is no store; {_AGAIN}") from None
    except (OSError, ValueError):
        raise DataError(f"{path}: damaged; {_AGAIN}") from None
    if manifest.get("format") != FORMAT:
        raise DataError(f"{path}: format {manifest.get('format')!r}, this echoseg reads {FORMAT}; {_AGAIN}")
    if not {"samples", "size", "ordering", "fov_mm", "faults", "sha256"} <= manifest.keys():
        raise DataError(f"{path}: is incomplete; {_AGAIN}")
    return manifest


def _check_files(folder: Path, sha256: dict[str, str]) -> None:
    for name in _HASHED:
        try:
            found = hash_file(folder / name)
        except OSError as error:
            raise DataError(f"{folder / name}: cannot be read ({error.strerror}); {_AGAIN}") from None
        if found != sha256.get(name):
            raise DataError(f"{folder / name}: damaged, its content is not what was written; {_AGAIN}")


def _map_array(path: Path, dtype: type, dimensions: int) -> NDArray[Any]:
    try:
        array = np.lib.format.open_memmap(path, mode="r")  # takes neither archives nor objects
    except (OSError, ValueError, EOFError):
        raise DataError(f"{path}: missing or damaged; {_AGAIN}") from None
    whole = isinstance(array, np.memmap) and path.stat().st_size == array.offset + array.nbytes
    if not whole or array.dtype != dtype or array.ndim != dimensions or not len(array):
        raise DataError(f"{path}: damaged, {array.dtype} {array.shape}; {_AGAIN}")
    return array


def _read_samples(path: Path) -> pd.DataFrame:
    kinds = {**dict.fromkeys((*_TEXT, *_REAL), str), **dict.fromkeys(_WHOLE, int)}
    try:
        samples = pd.read_csv(path, dtype=kinds, keep_default_na=False)
        # By float(), since not every pandas reads a float back to the last bit.
        numbers = {name: [float(cell or "nan") for cell in samples[name]] for name in _REAL if name in samples}
    except (OSError, ValueError):
        raise DataError(f"{path}: missing or damaged; {_AGAIN}") from None
    if not kinds.keys() <= set(samples.columns):
        raise DataError(f"{path}: lacks columns; {_AGAIN}")
    return samples.assign(**numbers)
