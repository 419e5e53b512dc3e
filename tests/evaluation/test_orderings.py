"""The masks of tracings by each ordering of their points."""

from __future__ import annotations

import numpy as np

from _folders import SIZE, write_folder
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import prepare
from echoseg.evaluation.orderings import masks_by_ordering
from echoseg.io.clip import Clip
from echoseg.ops import fill_polygons


def test_masks_lie_where_the_store_has_cropped_the_frames(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "data", ("a",))
    (folder / "Videos/a.avi").rename(folder / "Videos/a.dcm")
    clip = Clip(np.zeros((6, *SIZE), np.uint8), 50.0, (0.5, 0.25), np.nan, square=(4, 6, 32))
    monkeypatch.setattr("echoseg.io.reading.read_clip", lambda path: clip)
    for fov_mm in (None, 14.0):
        store = prepare(folder, size=(64, 64), fov_mm=fov_mm)
        masks = masks_by_ordering(read_dataset(folder), store)
        expected = fill_polygons(store.points, store.size, offsets=store.offsets)
        np.testing.assert_array_equal(masks["chords"], expected)
