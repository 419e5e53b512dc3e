"""Earlier data that are mixed into a training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from _folders import write_folder
from echoseg.api import train as train_run
from echoseg.datasets.store import prepare
from echoseg.errors import DataError
from echoseg.models.codec import MaskCodec
from echoseg.training.batches import Batches
from echoseg.training.config import Config
from echoseg.training.loop import train
from echoseg.training.training_sets import add_rehearsed

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}
STILL = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "flip": 0.0}
GREYS = {"gain": 0.0, "shade": 0.0, "gamma": 0.0, "noise": 0.0}


def tiny(**settings):
    return Config(**{**TINY, "epochs": 1, **settings})


def changed(store, *, ordering=None, prefix="old", **columns):
    """The images of a store as those of other patients; `columns` replace those of the samples."""
    samples = store.samples.assign(patient=prefix + store.samples["patient"], **columns)
    frames = 255 - np.asarray(store.frames)
    return dataclasses.replace(store, frames=frames, samples=samples, manifest={**store.manifest, "ordering": ordering})


def seen(store, config, training, rehearsed, epoch):
    """The grey values and areas of an epoch's images, of which none is changed."""
    batches = Batches(store, training, MaskCodec(), config, torch.device("cpu"), rehearsed=rehearsed)
    frames, areas = [], []
    for batch in batches.epoch(epoch):
        frames += [frame.round().to(torch.uint8).numpy().tobytes() for frame in batch.frames]
        areas += batch.targets.sum(dim=(1, 2, 3)).tolist()
    return frames, areas


def test_images_of_the_earlier_training_split_are_appended(disc_store):
    joined, added = add_rehearsed(disc_store, changed(disc_store), tiny())
    assert added.tolist() == list(range(48, 80))
    assert len(joined) == len(joined.samples) == len(joined.offsets) - 1 == 80
    for index, source in ((3, 3), (48, 0), (79, 31)):
        expected = disc_store.frames[source] if index < 48 else 255 - disc_store.frames[source]
        np.testing.assert_array_equal(joined.frames[index], expected)
        np.testing.assert_array_equal(joined.contour(index), disc_store.contour(source))


def test_patients_of_the_new_data_are_left_out(disc_store):
    earlier = changed(disc_store, prefix="")
    half = dataclasses.replace(disc_store, samples=disc_store.samples.replace("disc00", "another"))
    assert add_rehearsed(half, earlier, tiny())[1].tolist() == [48]
    with pytest.raises(DataError, match="no image to rehearse"):
        add_rehearsed(disc_store, earlier, tiny())


def test_blank_slices_are_rehearsed_if_they_are_learned(disc_store):
    offsets = np.concatenate([[0], disc_store.offsets[1:] - 24])  # the first has no contour
    earlier = dataclasses.replace(changed(disc_store), points=disc_store.points[24:], offsets=offsets)
    assert len(add_rehearsed(disc_store, earlier, tiny())[1]) == 31
    joined, added = add_rehearsed(disc_store, earlier, tiny(approach="mask", blanks=True))
    assert len(added) == 32
    assert joined.contour(48).shape == (0, 2)


def test_landmarks_need_contours_in_the_same_order(disc_store):
    earlier = changed(disc_store, ordering="chords")
    with pytest.raises(DataError, match=r"ordered as chords, those of .* as None"):
        add_rehearsed(disc_store, earlier, tiny())
    add_rehearsed(disc_store, earlier, tiny(approach="mask"))


def test_another_structure_is_refused(disc_store):
    earlier = changed(disc_store)
    atria = dataclasses.replace(disc_store, manifest={**disc_store.manifest, "structure": "left atrium"})
    with pytest.raises(DataError, match=r"of the left ventricle, those of .* of the left atrium; rehearse data of the"):
        add_rehearsed(atria, earlier, tiny(approach="mask"))
    again = dataclasses.replace(earlier, manifest={**earlier.manifest, "structure": "LA"})
    assert len(add_rehearsed(atria, again, tiny(approach="mask"))[1]) == 32


@pytest.mark.slow
def test_phantoms_are_rehearsed_for_the_left_ventricle_only(tmp_path, monkeypatch):
    data = write_folder(tmp_path / "data")
    monkeypatch.setattr("echoseg.api.cached_phantom", lambda **_: write_folder(tmp_path / "phantom", "def"))
    settings = {"structure": "left atrium", "rehearse": "phantom", "landmarks": 5, **TINY}
    with pytest.raises(DataError, match=r"phantom: its contours are of the left ventricle, those of .* left atrium"):
        train_run(data, out=tmp_path / "run", **settings)


@pytest.mark.parametrize(("new", "count"), [(12, 12), (32, 24)])
def test_an_epoch_has_as_many_earlier_images_as_new_ones(disc_store, new, count):
    earlier = changed(disc_store, split=["TRAIN"] * 24 + ["TEST"] * 24)
    config = tiny(approach="mask", **STILL, **GREYS)
    joined, added = add_rehearsed(disc_store, earlier, config)
    names = [frame.tobytes() for frame in joined.frames]
    epochs = []
    for epoch in range(2):
        frames, areas = seen(joined, config, np.arange(new), added, epoch)
        numbers = [names.index(frame) for frame in frames]
        assert sorted(number for number in numbers if number < 48) == list(range(new))
        assert len(set(numbers)) == len(numbers) == new + count
        expected = [
            MaskCodec().encode(torch.tensor(joined.contour(n))[None], (32, 32), torch.device("cpu"), None)[0]
            for n in numbers
        ]
        assert areas == [target.sum().item() for target in expected]
        epochs.append({number for number in numbers if number >= 48})
    assert (epochs[0] == epochs[1]) == (count == 24)


def test_resuming_needs_the_same_earlier_data(disc_store, tmp_path):
    earlier = changed(disc_store)
    train(tiny(max_minutes=1e-9, epochs=3), disc_store, tmp_path / "run", rehearsed=earlier)
    with pytest.raises(DataError, match="the data are not those that the run began with"):
        train(tiny(epochs=3), disc_store, tmp_path / "run", resume=True)
    train(tiny(epochs=3), disc_store, tmp_path / "run", resume=True, rehearsed=earlier)


@pytest.mark.slow
def test_a_run_rehearses_a_data_set_or_the_phantom(disc_store, tmp_path, monkeypatch):
    earlier = changed(disc_store)
    prepared = []
    monkeypatch.setattr("echoseg.api.cached_phantom", lambda **_: tmp_path / "phantom")
    monkeypatch.setattr(
        "echoseg.api.prepare",
        lambda folder, **options: (
            prepared.append(folder) or (earlier if "phantom" in str(folder) else prepare(folder, **options))
        ),
    )
    run = train_run(disc_store, out=tmp_path / "run", rehearse="phantom", landmarks=5, **TINY | {"epochs": 1})
    assert prepared == [str(disc_store.path), tmp_path / "phantom"]
    assert run.config.rehearse == "phantom"
    assert run.metrics["test"]["images"] == 8
