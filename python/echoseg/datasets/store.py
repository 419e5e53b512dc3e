"""A store: the traced frames of a data set, decoded once, in files that training maps into memory.

A store is a folder; `store_files` describes its files. It is written atomically: everything is written to a temporary
folder, synced to disk, and renamed. Opening a store checks the hash of each file, which takes about one second per
gigabyte.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from echoseg.datasets.corrections import correct, corrections_file
from echoseg.datasets.formats import format_of, read_dataset
from echoseg.datasets.recording import Fault
from echoseg.datasets.samples import CROP_COLUMNS, decode_dataset
from echoseg.datasets.source_files import hash_files, hash_source
from echoseg.datasets.statement import NOTICE, count_reasons, describe_dataset, log_statement
from echoseg.datasets.store_files import (
    CURE,
    FORMAT,
    FileMap,
    Observers,
    check_hashes,
    map_arrays,
    read_manifest,
    read_observers,
    read_samples,
    without_content,
    write_frames,
    write_metadata,
)
from echoseg.datasets.structure import LEFT_VENTRICLE, is_same_structure
from echoseg.errors import DataError, printable
from echoseg.geometry.contour import ORDERINGS
from echoseg.geometry.crop import Box, Crop
from echoseg.io.reading import axis3_of, axis3_taken_for
from echoseg.utils.cache import cache_folder
from echoseg.utils.files import TEMPORARY_FOLDERS, new_folder, remove_abandoned
from echoseg.utils.words import counted


@dataclass(frozen=True, eq=False)
class Store:
    """The decoded frames of a data set, with their contours.

    Attributes:
        path: The folder.
        frames: (N, H, W) uint8, grey; memory-mapped, read-only.
        points: (M, 2) float32, pixels of the frames: all contours, concatenated.
        offsets: (N+1,) int64: contour i is `points[offsets[i]:offsets[i + 1]]`, without points for a blank slice.
        samples: One row per image: video, frame, patient, phase ("ED", "ES" or ""), split (the raw cell), view,
            row (of the tracing file), height and width (of the original frame, in pixels), crop_top, crop_left,
            crop_height and crop_width (the part of it that became this frame), blank (1 for a slice of a stack that
            shows nothing to trace, else 0), fps, ef (percent), edv and esv (ml), spacing_y and spacing_x (mm per pixel
            of these frames), thickness (mm between slices); quality of the images, sex and age of the patient in
            years; numbers are nan if unknown, text is "". For `echoseg check`: path (of
            the recording's file in the data set's folder), file (of the tracing), list_row (of the file list), pieces,
            holes and turned (see `recording.Tracing`); "" or 0 if unknown.
        manifest: The content of `manifest.json`; `faults` are dicts with file, row, column and reason.
        observers: If several observers traced some images, their contours by observer and index of the image, among
            them those in `points`, which are of the first observer of each image.
    """

    path: Path
    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    offsets: NDArray[np.int64]
    samples: pd.DataFrame
    manifest: dict[str, Any]
    observers: Observers = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: mapped arrays without their content, since the process that unpickles them maps them too."""
        return {name: without_content(value) for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        opened = {name: value.open() for name, value in state.items() if isinstance(value, FileMap)}
        vars(self).update(state | opened)

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def has_chords(self) -> bool:
        """Whether each contour consists of the first ends of the chords, followed by the second ends in reverse."""
        return self.manifest.get("kind") == self.manifest["ordering"] == "chords"

    @property
    def structure(self) -> str:
        """The name of what is traced."""
        return self.manifest.get("structure", LEFT_VENTRICLE)

    @property
    def source(self) -> Path:
        """The folder of the data set that the store was made from, for messages; the store's own if it is unknown."""
        return Path(self.manifest.get("folder", self.path))

    @property
    def faults(self) -> list[Fault]:
        """The parts of the data set that were left out, and why."""
        return [Fault(**fault) for fault in self.manifest["faults"]]

    @property
    def blank(self) -> NDArray[np.bool_]:
        """(N,) bool: the slices of stacks that show nothing to trace."""
        return np.diff(self.offsets) == 0

    def crop(self, index: int) -> Crop:
        """The crop that made image `index` from its original frame."""
        return Crop(Box(*(int(self.samples[name].iloc[index]) for name in CROP_COLUMNS)), self.size)

    def contour(self, index: int) -> NDArray[np.float32]:
        """The contour of image `index`: (P, 2) float32, pixels; (0, 2) for a blank slice.

        Raises:
            IndexError: There is no such image.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of a store with {len(self)} images")
        return self.points[self.offsets[index] : self.offsets[index + 1]]


def open_store(path: str | Path) -> Store:
    """Open a store. The frames stay on disk until they are used.

    Args:
        path: The folder.

    Raises:
        DataError: A file is missing, damaged, of another format version, or does not fit the others.
    """
    path = Path(path)
    manifest = read_manifest(path)
    check_hashes(path, manifest["sha256"])
    frames, points, offsets = map_arrays(path)
    count = len(frames)
    if points.shape[1] != 2:
        raise DataError(f"{path / 'points.npy'}: shape {points.shape}, not (M, 2); {CURE}")
    fits = len(offsets) == count + 1 and offsets[0] == 0 and offsets[-1] == len(points)
    lengths = np.diff(offsets)
    if not fits or (lengths < 0).any() or np.isin(lengths, (1, 2)).any():
        raise DataError(f"{path / 'offsets.npy'}: does not fit {count} frames and {len(points)} points; {CURE}")
    if list(frames.shape) != [manifest["samples"], *manifest["size"]]:
        raise DataError(f"{path / 'frames.npy'}: shape {frames.shape} differs from the manifest; {CURE}")
    samples = read_samples(path)
    if len(samples) != count:
        raise DataError(f"{path / 'samples.csv'}: {len(samples)} rows for {count} frames; {CURE}")
    if ((lengths == 0) != (samples["blank"] == 1)).any():
        raise DataError(f"{path / 'samples.csv'}: column blank does not fit offsets.npy; {CURE}")
    return Store(path, frames, points, offsets, samples, manifest, read_observers(path, manifest["sha256"]))


def is_store(path: str | Path) -> bool:
    """Whether a folder contains the manifest of a store. The manifest is not read."""
    return (Path(path) / "manifest.json").is_file()


def write_store(
    out: str | Path,
    frames: NDArray[np.uint8],
    contours: Sequence[NDArray[np.float32]],
    samples: pd.DataFrame,
    manifest: dict[str, Any],
    observers: Observers | None = None,
) -> Store:
    """Write a store atomically, and open it.

    Args:
        out: The folder to write; it must not exist.
        frames: (N, H, W) uint8.
        contours: N arrays (P, 2) float32, pixels, with at least three points each, or none for a blank slice.
        samples: N rows with at least the columns of `Store.samples`.
        manifest: Entries of the manifest, for example `faults`, `ordering` and `source`.
        observers: The contours of images that several observers traced; see `Store.observers`.

    Raises:
        FileExistsError: `out` exists.
        ValueError: The arguments do not fit each other.
    """
    if frames.ndim != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames: expected (N, H, W) uint8, got {frames.shape} {frames.dtype}")
    if not len(frames) == len(contours) == len(samples):
        raise ValueError(f"{len(frames)} frames, {len(contours)} contours and {len(samples)} samples do not match")
    with new_folder(Path(out)) as folder:
        np.save(folder / "frames.npy", np.ascontiguousarray(frames))
        write_metadata(folder, frames.shape, contours, samples, manifest, observers)
    return open_store(out)


def prepare(
    folder: str | Path,
    out: str | Path | None = None,
    *,
    size: tuple[int, int] = (112, 112),
    ordering: str | None = None,
    fov_mm: float | None = None,
    structure: str | None = None,
    patients: str | None = None,
    corrections: str | Path | None = None,
    axis3: str | None = None,
    strict: bool = False,
) -> Store:
    """Decode the traced frames of a data set, and write them to a store.

    Args:
        folder: A data set in one of `echoseg.datasets.formats.FORMATS`, or a store, which is opened.
        out: The store to write; it must not exist. None writes it to the cache folder, and reuses it while the files
            (name, size, modification time) and the other arguments stay the same.
        size: (H, W) of the frames; the contours are scaled with the pixels.
        ordering: A name in `echoseg.geometry.contour.ORDERINGS`; None keeps the order of the tracing.
        fov_mm: Side of the centred square to keep, in mm. With None, or if the spacing is unknown, the whole frame is
            kept.
        structure: The name of the structure to read; see `echoseg.datasets.formats.read_dataset`.
        patients: A rule that finds the patients in names; see `echoseg.datasets.patients.apply_rule`.
        axis3: "time" or "slices": what the third axis of volumes is. None decides file by file, by the key "axis3" of a
            `dataset.json` or by the header; see `echoseg.io.axes`.
        corrections: The folder or table that `echoseg review` wrote; its tracings replace those of the data set.
        strict: Whether to refuse a data set with faults. By default samples with faults are left out.

    Raises:
        DataError: Nothing is usable, there are faults and `strict` is set, or `folder` is a store of another size,
            ordering, fov_mm, structure or patients, or the data have no such structure, or there are no corrections.
        FileExistsError: `out` exists.
        ValueError: The ordering is unknown, or `size` or `fov_mm` is not positive.
    """
    folder = Path(folder)
    size = (int(size[0]), int(size[1]))
    if min(size) < 1:
        raise ValueError(f"size: expected (H, W) of at least 1, got {size}")
    if fov_mm is not None and not fov_mm > 0:
        raise ValueError(f"fov_mm: expected a number greater than 0, got {fov_mm}")
    if ordering is not None and ordering not in ORDERINGS:
        raise ValueError(f"unknown ordering {ordering!r}; use one of {', '.join(ORDERINGS)}")
    table = None if corrections is None else corrections_file(corrections)
    if is_store(folder):
        if out is not None or corrections is not None:
            raise DataError(f"{folder}: is already a store; use it as it is, or give the folder it was made from")
        store = _open_as(folder, size, ordering, fov_mm, structure, patients)
        if axis3 not in (None, store.manifest.get("axis3")):
            raise DataError(f"{folder}: is a store that was made without axis3 {axis3!r}; prepare the data again")
        log_statement(store.manifest)
    else:
        reading = {"structure": structure, "patients": patients}
        options: dict[str, Any] = {"size": size, "ordering": ordering, "fov_mm": fov_mm}
        with axis3_taken_for(axis3):
            if out is not None:
                store = _prepare(folder, Path(out), strict, table, reading, **options)
            else:
                store = _prepare_cached(folder, strict, table, reading, **options)
    if strict:
        _refuse_faults(folder, store.faults)
    return store


def _open_as(
    path: Path,
    size: tuple[int, int],
    ordering: str | None,
    fov_mm: float | None,
    structure: str | None,
    patients: str | None,
) -> Store:
    """Open a store, and check that it has the requested size, fov_mm and, unless None, the other options."""
    store = open_store(path)
    if store.size != size:
        raise DataError(
            f"{path}: has frames of size {store.size}, but {size} was requested; use that size, or prepare the data "
            "again"
        )
    if ordering not in (None, store.manifest["ordering"]):
        actual = store.manifest["ordering"]
        raise DataError(f"{path}: has the ordering {actual!r}, but {ordering!r} was requested; use {actual!r}")
    if fov_mm != store.manifest["fov_mm"] and store.samples["spacing_y"].notna().any():
        actual = store.manifest["fov_mm"]
        raise DataError(f"{path}: has a fov_mm of {actual}, but {fov_mm} was requested; use {actual}")
    if structure is not None and not is_same_structure(structure, store.structure):
        actual = store.structure
        raise DataError(
            f"{path}: has the structure {actual!r}, but {structure!r} was requested; prepare the data again"
        )
    if patients not in (None, store.manifest.get("patient_rule")):
        raise DataError(f"{path}: was made without the rule {patients!r} for patients; prepare the data again with it")
    return store


def _prepare_cached(
    folder: Path, strict: bool, corrections: Path | None, reading: dict[str, str | None], **options: Any
) -> Store:
    """The cached store of a data set; it is made if it does not exist or is damaged.

    A data set that was moved, or copied with the times of its files, has the same store.
    """
    source = _hash(folder, corrections, reading, options)
    path = cache_folder() / "stores" / source[:32]
    remove_abandoned(path.parent.glob(TEMPORARY_FOLDERS))
    if path.exists():
        try:
            store = open_store(path)
        except DataError:
            shutil.rmtree(path, ignore_errors=True)
        else:
            understood = {**store.manifest["understood"], "folder": str(folder.resolve())}
            manifest = {**store.manifest, "folder": str(folder.resolve()), "understood": understood}
            log_statement(manifest)
            return replace(store, manifest=manifest)
    try:
        return _prepare(folder, path, strict, corrections, reading, source, **options)
    except FileExistsError:  # another process has made the same store
        return open_store(path)


def _hash(folder: Path, corrections: Path | None, reading: dict[str, str | None], options: dict[str, Any]) -> str:
    axis3 = axis3_of(folder)
    settings = (FORMAT, reading, sorted(options.items()))
    return hash_source(folder, corrections, settings if axis3 is None else (*settings, axis3))


def _prepare(
    folder: Path,
    out: Path,
    strict: bool,
    corrections: Path | None,
    reading: dict[str, str | None],
    source: str = "",
    **options: Any,
) -> Store:
    """Read and decode a data set, and write the store."""
    if out.exists():
        raise FileExistsError(f"{out}: exists already; choose another name or remove it")
    dataset = read_dataset(folder, reading["structure"], reading["patients"])
    if corrections is not None:
        dataset = correct(dataset, corrections)
    faults = list(dataset.faults)
    understood = describe_dataset(dataset, format_of(folder))
    log_statement({"understood": understood})
    if strict:
        _refuse_faults(folder, faults)
    contours: list[NDArray[np.float32]] = []
    metadata: list[dict[str, Any]] = []
    turned: list[str] = []
    observers: dict[str, dict[int, NDArray[np.float32]]] = {}

    def images() -> Iterator[NDArray[np.uint8]]:
        bar = tqdm(total=len(dataset.recordings), desc="decode", unit="video", disable=None)
        with bar:
            for decoded in decode_dataset(dataset, **options):
                faults.extend(decoded.faults)
                turned.extend(sample.metadata["path"] for sample in decoded.samples[:1] if decoded.is_turned)
                for sample in decoded.samples:
                    for observer, contour in sample.observers.items():
                        observers.setdefault(observer, {})[len(contours)] = contour
                    contours.append(sample.contour)
                    metadata.append(sample.metadata)
                    yield sample.image
                bar.update()

    with new_folder(out) as temporary:
        count = write_frames(temporary, images(), options["size"])
        if strict:
            _refuse_faults(folder, faults)
        if not any(map(len, contours)):
            raise DataError(f"{folder}: contains nothing usable; {faults[0]} (fault 1 of {len(faults)})")
        if turned:
            note = f"{counted(len(turned), 'video')} turned as the header asks for, such as {printable(turned[0])}"
            understood["notes"].insert(0, f"{note}; the tracings are taken for those of turned frames")
            logging.getLogger("echoseg").log(NOTICE, "note: %s", understood["notes"][0])
        manifest = {
            "source": source or _hash(folder, corrections, reading, options),
            "folder": str(folder.resolve()),
            "kind": dataset.kind,
            "structure": dataset.structure,
            "patient_rule": reading["patients"],
            "understood": understood | {"left_out": count_reasons(faults)},
            "ordering": options["ordering"] or ("chords" if dataset.kind == "chords" else "given"),
            "fov_mm": options["fov_mm"],
            "axis3": axis3_of(folder),
            "empty": dataset.empty,
            "files": hash_files(folder),
            "faults": [asdict(fault) for fault in faults],
        }
        write_metadata(temporary, (count, *options["size"]), contours, pd.DataFrame(metadata), manifest, observers)
    return open_store(out)


def _refuse_faults(folder: Path, faults: Sequence[Fault]) -> None:
    if faults:
        raise DataError(f"{folder}: {faults[0]} (fault 1 of {len(faults)}); fix them, or do not set strict")
