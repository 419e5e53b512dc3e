"""Masks that another tool predicted, found by the names of the images.

The mask of frame 12 of the video or stack NAME is one of these:

- `NAME_frame0012` or `NAME_slice0012`, as `echoseg predict --keep png` and `echoseg prepare --images` name files, and
  as nnU-Net names its masks of such images;
- page or slice 12 of the file `NAME`, as nnU-Net names its masks of volumes;
- page or slice 12 of `NAME/masks.tif` or `NAME/mask.nii.gz`, as `echoseg predict` writes them.

The mask of a single image has the name of its image.

A mask that lies in the folder as its image lies in the data set is that image's. Anywhere else, masks are found by
names that only one file of the data set has.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from echoseg.datasets.decathlon import find_label, without_channel
from echoseg.datasets.mask_values import MaskContent, MaskRule, decide_for_each, examine, round_values
from echoseg.datasets.masks import FILE_SUFFIXES, are_colours, read_pair, stem_of
from echoseg.errors import DataError
from echoseg.evaluation.comparison_cases import Cases
from echoseg.geometry.crop import paste
from echoseg.io.description import DESCRIPTION
from echoseg.io.image import is_image
from echoseg.io.reading import open_volume, read_labels, read_voxels
from echoseg.io.volume import is_volume
from echoseg.utils.parallel import map_in_order

_FRAME = re.compile(r"(.+)_(?:frame|slice)(\d+)")
_FOLDER_FILES = ("masks", "mask")  # in the folder of a video, without suffix
_MAX_LISTED = 5


class _MaskFile(NamedTuple):
    """How a file of masks is read.

    Attributes:
        image: Its image, which gives the orientation of volumes; None if there is no file of it.
        by_colour: Whether the colours of a palette are labels.
        content: Its values.
        rule: Which of them are the structure.
    """

    image: Path | None
    by_colour: bool
    content: MaskContent
    rule: MaskRule


class MaskFolder:
    """The masks of a folder for the images of a comparison.

    Masks have the size of the original frames, or that of the frames of the first run's store. The latter are resized
    to the part of the frame that became the frame of the store, linearly with a threshold of 0.5.

    What the values mean is decided for all files together that have the same `dataset.json`, or none. Soft edges and
    probabilities are refused, since their threshold is the other tool's to choose.

    Args:
        folder: The folder, which is searched with its subfolders.
        cases: The images.

    Attributes:
        notes: What was guessed about the values, a line each.

    Raises:
        DataError: The folder is missing, or it has no mask, or several, for an image; or a file is damaged, or its
            values are no mask of the structure.
    """

    def __init__(self, folder: Path, cases: Cases) -> None:
        self._folder, self._cases = folder, cases
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; give one with masks")
        files = _list_files(folder)
        recordings = cases.store.samples[["video", "path"]].drop_duplicates()
        named = {(name, row.path or row.video) for row in recordings.itertuples() for name in _names(row)}
        self._sharing = Counter(name for name, _ in named)
        self._read: tuple[Path, NDArray[np.uint8]] = Path(), np.empty((0, 1, 1), np.uint8)
        self._files = [self._find(row, files) for row in cases.table.itertuples()]
        missing = [row for row, file in zip(cases.table.itertuples(), self._files, strict=True) if file is None]
        if missing:
            listed = ", ".join(f"{row.video} frame {row.frame}" for row in missing[:_MAX_LISTED])
            raise DataError(
                f"{folder}: has no mask for {len(missing)} of {len(self._files)} images ({listed}"
                f"{', …' if len(missing) > _MAX_LISTED else ''}); name them NAME_frame0012, or NAME with a page for "
                "each frame, in the folders of the data set if several images have one NAME, and write an empty mask "
                "where nothing was found"
            )
        paths = [file[0] for file in self._files if file is not None]
        images = [cases.store.source / path if path else None for path in cases.table["path"]]
        self._masks, self.notes = _decide(folder, dict(zip(paths, images, strict=True)), cases.store.structure)

    def read(self, case: int) -> NDArray[np.uint8]:
        """The mask of an image: (H, W) uint8 of 0 and 1, in pixels of the original frame.

        Raises:
            DataError: The file is damaged, or its size is another one.
        """
        found, row = self._files[case], self._cases.table.iloc[case]
        assert found is not None
        path, page = found
        if path != self._read[0]:  # the frames of a file follow each other
            file = self._masks[path]
            values, _ = _read(path, file.image, file.by_colour)
            self._read = path, file.rule.select(values, file.content).astype(np.uint8)
        masks = self._read[1]
        if page >= len(masks):
            raise DataError(f"{path}: has {len(masks)} frames, but frame {page} is needed; write all frames")
        mask, size, store = masks[page], (int(row["height"]), int(row["width"])), self._cases.store
        if mask.shape == size:
            return mask
        if mask.shape != store.size:
            ours, theirs, resized = ("×".join(map(str, pair[::-1])) for pair in (size, mask.shape, store.size))
            raise DataError(f"{path}: is {theirs}, its image {ours}; write masks of that size, or of {resized}")
        box = store.crop(self._cases.indices[case]).box
        return paste(_resize(mask, (box.height, box.width)), box, size)

    def _find(self, row: Any, files: dict[str, list[Path]]) -> tuple[Path, int] | None:
        """The file of an image's mask, and its page in it; None if there is none."""
        unique = [name for name in _names(row) if self._sharing[name] == 1]
        for name in [_place(Path(row.path)), *unique] if row.path else unique:
            for key, page in ((f"{name}\0{row.frame}", 0), (name, row.frame)):
                found = files.get(key, [])
                if len(found) > 1:
                    raise DataError(f"{found[0]}: and {found[1]} are both masks of {name}; keep one in {self._folder}")
                if found:
                    return found[0], page
        return None


def _names(row: Any) -> dict[str, None]:
    """The names that the masks of a recording may have, given its row of the samples."""
    own = stem_of(Path(row.path)) if row.path else row.video
    return dict.fromkeys((row.video, row.video.replace("/", "_"), own, without_channel(own)))


def _place(path: Path) -> str:
    """A relative path without its suffix, after a "/" that no name has."""
    return f"/{(path.parent / stem_of(path)).as_posix()}"


def _list_files(folder: Path) -> dict[str, list[Path]]:
    """The files of masks by what they show: "NAME" or "/FOLDER/NAME", with "\\0FRAME" for one frame."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        is_mask = path.name.lower().endswith(FILE_SUFFIXES) and path.is_file()
        for key in _keys(path.relative_to(folder)) if is_mask else ():
            files.setdefault(key, []).append(path)
    return files


def _keys(path: Path) -> Iterator[str]:
    if "overlays" in path.parts:  # as `echoseg predict --keep png` writes them beside the masks
        return
    if stem_of(path) in _FOLDER_FILES and len(path.parts) > 1:
        yield from (f"/{path.parent.as_posix()}", path.parent.as_posix())
        return
    for name in (_place(path), stem_of(path)):
        yield name  # the name of an image may end in a number of a frame too
        if one := _FRAME.fullmatch(name):
            yield f"{one[1]}\0{int(one[2])}"


def _decide(
    folder: Path, images: Mapping[Path, Path | None], structure: str
) -> tuple[dict[Path, _MaskFile], tuple[str, ...]]:
    """Decide how files are read.

    Args:
        folder: The folder of all files.
        images: File → its image.
        structure: The name of the structure, for masks with a `dataset.json` in `folder`, above or below it.

    Returns:
        How each file is read; and what was guessed, a line each.
    """
    described: dict[Path | None, list[Path]] = defaultdict(list)
    for path in images:
        inside = itertools.takewhile(lambda parent: parent != folder, path.parents)
        candidates = (parent / DESCRIPTION for parent in (*inside, folder, folder.parent))
        described[next((file for file in candidates if file.is_file()), None)].append(path)
    files: dict[Path, _MaskFile] = {}
    notes: list[str] = []
    for description, paths in described.items():
        label = find_label(description, structure) if description else None
        by_colour = are_colours(paths, label)
        examined = map_in_order(partial(_examine, images=images, by_colour=by_colour), paths)
        found = list(tqdm(examined, total=len(paths), desc="masks", unit="file", disable=None))
        top = description.parent if description and description.parent != folder.parent else folder
        contents = {path.relative_to(top).as_posix(): content for path, content in zip(paths, found, strict=True)}
        if soft := next((file for file, content in contents.items() if content.is_soft), None):
            raise DataError(
                f"{top / soft}: has soft edges or probabilities; cut them at the threshold of the tool, and save "
                "masks of 0 and 1, as PNG, TIFF or NIfTI"
            )
        decision = decide_for_each(contents, label, top)
        notes += decision.notes
        files |= {
            path: _MaskFile(images[path], by_colour, content, decision.rule)
            for path, content in zip(paths, found, strict=True)
        }
    return files, tuple(notes)


def _examine(path: Path, *, images: Mapping[Path, Path | None], by_colour: bool) -> MaskContent:
    values, is_noisy = _read(path, images[path], by_colour)
    return examine(values, is_noisy=is_noisy)


def _read(path: Path, image: Path | None, by_colour: bool) -> tuple[NDArray[Any], bool]:
    """(T, H, W) values as `round_values` returns them; `image` gives the orientation of volumes."""
    if is_image(path):
        return round_values(read_labels(path, by_colour=by_colour))
    if image is not None and (is_volume(image) or image.is_dir()) and image.exists():
        return round_values(read_pair(image, path).values)
    return round_values(read_voxels(open_volume(path)))


def _resize(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    shares = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    return (shares > 0.5).astype(np.uint8)
