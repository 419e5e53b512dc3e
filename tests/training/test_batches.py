from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from _settings import AUGMENTATION
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.training import checkpoint
from echoseg.training.augment import change_greys, draw_maps, inverse_maps, warp_frames
from echoseg.training.batch_plans import BatchPlans, to_device
from echoseg.training.batches import Batches
from echoseg.training.config import Config
from echoseg.training.distributed import Ranks

CPU = torch.device("cpu")
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**AUGMENTATION, **TINY, **settings})


def maps_of(linear, offset, size):
    return torch.from_numpy(inverse_maps(linear, offset, size))


def test_pixels_and_points_move_alike():
    config = tiny(rotation=40.0, zoom=0.3, shift=0.15)
    size = (40, 56)
    linear, offset = draw_maps(np.random.default_rng(0), 20, size, config)
    random = np.random.default_rng(1)
    points = random.uniform((20, 14), (36, 26), (20, 2))
    y, x = np.mgrid[: size[0], : size[1]]
    blobs = np.exp(-((x - points[:, :1, None]) ** 2 + (y - points[:, 1:, None]) ** 2) / 2 / 2.0**2)
    moved = warp_frames(torch.from_numpy(blobs).float(), maps_of(linear, offset, size)).double().numpy()
    expected = np.einsum("nij,nj->ni", linear, points) + offset
    mass = moved.sum(axis=(1, 2))
    found = np.stack([(moved * x).sum(axis=(1, 2)) / mass, (moved * y).sum(axis=(1, 2)) / mass], axis=1)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_maps_stay_within_their_settings():
    config = tiny(rotation=10.0, zoom=0.1, shift=0.05)
    linear, offset = draw_maps(np.random.default_rng(0), 500, (100, 200), config)
    scale = np.sqrt(np.linalg.det(linear))
    turn = np.rad2deg(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    centre = np.array([99.5, 49.5])
    shift = linear @ centre + offset - centre
    for values, limit in ((scale - 1, 0.1), (turn, 10), (shift[:, 0], 10), (shift[:, 1], 5)):
        assert 0.9 * limit < np.abs(values).max() <= limit + 1e-9
    still = draw_maps(np.random.default_rng(0), 3, (100, 200), tiny(rotation=0.0, zoom=0.0, shift=0.0))
    np.testing.assert_array_equal(still[0], np.tile(np.eye(2), (3, 1, 1)))
    np.testing.assert_allclose(still[1], 0)


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_batches_draw_the_moved_contours(disc_store, approach):
    config = tiny(approach=approach, landmarks=7, gamma=0.0, noise=0.0, gain=0.0, shade=0.0)
    codec = checkpoint.build(config)[1]
    batches = Batches(disc_store, np.arange(20), codec, config, torch.device("cpu"))
    seen = 0
    for frames, targets, landmarks, contours, _ in batches.epoch(0):
        seen += len(frames)
        before = targets.clone()
        assert torch.equal(codec.encode(contours, disc_store.size, torch.device("cpu"))[0], before)
        if approach == "mask":
            # the discs are the dark part of a grey square
            dark = ((frames > 1) & (frames < 85)).float()
            inside = targets[:, 0] > 0
            agreement = 2 * (dark * inside).sum((1, 2)) / (dark.sum((1, 2)) + inside.sum((1, 2)))
            assert agreement.mean() > 0.8
            assert landmarks is None
        else:
            rounded = landmarks.round().long().clamp(0, 31)
            at = targets[torch.arange(len(targets))[:, None], torch.arange(7), rounded[..., 1], rounded[..., 0]]
            inside = ((landmarks >= 0) & (landmarks <= 31)).all(dim=2)
            assert (at[inside] > 0.8).all()
            assert targets.shape[1] == 7
            assert targets.amax() <= 1
    assert seen == 20
    assert len(batches) == 3


def test_landmarks_of_the_anatomy_move_with_their_contours(chord_store):
    """As if they were chosen on the moved contours, mirrored ones included."""
    config = tiny(scheme="anatomical", landmarks=7, flip=0.5, rotation=180.0)
    batches = Batches(chord_store, np.arange(48), checkpoint.build(config)[1], config, CPU)
    for step in range(len(batches)):
        plan = batches._plans[0, step, step + 1]
        expected = choose_landmarks(plan.contours, config.landmarks, scheme="anatomical")
        np.testing.assert_allclose(plan.landmarks, expected, atol=1e-3)
        assert 0 < (np.linalg.det(plan.maps[:, :2]) < 0).sum() < 8
    assert next(batches.epoch(0)).landmarks.shape == (8, config.landmarks, 2)


def test_wild_greys_stay_greys(disc_store):
    config = tiny(gamma=2.0, noise=2.0, gain=3.0, shade=3.0, attenuation=2.0, shadow=3.0, blur=1.0)
    for frames, *_ in Batches(
        disc_store, np.arange(48), checkpoint.build(config)[1], config, torch.device("cpu")
    ).epoch(0):
        assert frames.min() >= 0
        assert frames.max() <= 255
        assert torch.isfinite(frames).all()


def test_batches_repeat_by_seed_and_epoch(disc_store):
    config = tiny()

    def first(epoch, seed):
        settings = dataclasses.replace(config, seed=seed)
        codec = checkpoint.build(settings)[1]
        batches = Batches(disc_store, np.arange(20), codec, settings, torch.device("cpu"))
        return [tensor.clone() for tensor in next(iter(batches.epoch(epoch)))[:3]]

    again, other_epoch, other_seed = first(3, 0), first(4, 0), first(3, 1)
    for a, b, c, d in zip(first(3, 0), again, other_epoch, other_seed, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        assert not torch.equal(a, d)


def _collected(store, config, indices=20, ranks=None, first=0):
    codec = checkpoint.build(config)[1]
    batches = Batches(store, np.arange(indices), codec, config, CPU, ranks)
    return [(batch.frames.clone(), batch.targets.clone(), batch.share) for batch in batches.epoch(1, first=first)]


def test_reading_ahead_gives_the_same_batches(disc_store):
    resident = _collected(disc_store, tiny(flip=0.5))
    ahead = _collected(disc_store, tiny(flip=0.5, workers=1))
    for a, b in zip(resident, ahead, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_worker_processes_that_are_not_forked_map_the_frames_themselves(disc_store):
    plans = _plans(disc_store)
    pickled = pickle.dumps(plans)
    assert disc_store.frames[:2].tobytes() not in pickled
    again = pickle.loads(pickled)
    assert isinstance(again._store.frames, np.memmap)
    np.testing.assert_array_equal(again[0, 0, 1].frames, plans[0, 0, 1].frames)
    part = dataclasses.replace(disc_store, frames=disc_store.frames[5:9])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(part)).frames, part.frames)
    changed = np.memmap(disc_store.frames.filename, np.uint8, "c", disc_store.frames.offset, disc_store.frames.shape)
    changed[0] = 255 - changed[0]  # in memory only
    assert (pickle.loads(pickle.dumps(dataclasses.replace(disc_store, frames=changed))).frames == changed).all()


@pytest.mark.slow
def test_spawned_worker_processes_give_the_same_batches(disc_store):
    plans = _plans(disc_store)
    options = {"batch_size": None, "sampler": [(0, 1, 2)], "num_workers": 1, "multiprocessing_context": "spawn"}
    (plan,) = DataLoader(plans, **options)
    np.testing.assert_array_equal(plan.frames, plans[0, 1, 2].frames)
    np.testing.assert_array_equal(plan.contours, plans[0, 1, 2].contours)


def _plans(store):
    return BatchPlans(store, None, np.arange(20), tiny(), Ranks(), with_frames=True)


def test_reading_ahead_draws_no_random_number_of_the_network(disc_store):
    config = tiny(workers=1)
    batches = Batches(disc_store, np.arange(20), checkpoint.build(config)[1], config, CPU)
    before = torch.get_rng_state()
    assert len(list(batches.epoch(0))) == 3
    assert torch.equal(torch.get_rng_state(), before)


def test_an_epoch_can_be_entered_in_its_middle(disc_store):
    config = tiny()
    for a, b in zip(_collected(disc_store, config)[1:], _collected(disc_store, config, first=1), strict=True):
        assert torch.equal(a[0], b[0])


@pytest.mark.parametrize("count", [2, 3])
def test_ranks_share_one_batch_out(disc_store, count):
    alone = _collected(disc_store, tiny(batch_size=8 * count), indices=40)
    parts = [_collected(disc_store, tiny(), indices=40, ranks=Ranks(index, count)) for index in range(count)]
    for step, (frames, targets, share) in enumerate(alone):
        assert share == 1
        assert torch.equal(frames, torch.cat([part[step][0] for part in parts]))
        assert torch.equal(targets, torch.cat([part[step][1] for part in parts]))
        assert sum(part[step][2] for part in parts) == pytest.approx(count)


def test_no_rank_gets_an_empty_batch(disc_store):
    for indices, steps in ((16, 1), (17, 1), (18, 2), (32, 2)):
        parts = [_collected(disc_store, tiny(), indices, ranks=Ranks(index, 2)) for index in range(2)]
        assert [len(part) for part in parts] == [steps, steps]
        assert all(len(frames) for part in parts for frames, *_ in part)


def test_a_flip_mirrors_pixels_and_points():
    linear, offset = draw_maps(np.random.default_rng(0), 4, (6, 9), tiny(flip=1.0, rotation=0, zoom=0, shift=0))
    frames = torch.rand(4, 6, 9)
    torch.testing.assert_close(warp_frames(frames, maps_of(linear, offset, (6, 9))), frames.flip(2))
    np.testing.assert_allclose(np.array([[2.0, 3.0]]) @ linear[0].T + offset[0], [[6.0, 3.0]])
    some = draw_maps(np.random.default_rng(0), 1000, (6, 9), tiny(flip=0.3))[0]
    assert 0.25 < (np.linalg.det(some) < 0).mean() < 0.35


def _greys(**changed):
    nothing = {"exponent": 1.0, "level": 0.0, "slope_x": 0.0, "slope_y": 0.0, "blur": 0.0, "shadow": 0.0}
    lane = {"shadow_x": 1.0, "shadow_y": 0.0, "shadow_offset": 0.0, "shadow_width": 0.05}
    speckle = {"speckle": 0.0, "speckle_field": 0, "speckle_row": 0, "speckle_column": 0}
    return {name: torch.tensor([float(value)]) for name, value in {**nothing, **lane, **speckle, **changed}.items()}


def test_each_change_of_greys():
    frames, fields = torch.full((1, 21, 21), 100.0), torch.randn(3, 42, 42)
    frames[0, 10, 10] = 200

    def change(**changed):
        return change_greys(frames, _greys(**changed), fields)

    torch.testing.assert_close(change(), frames)
    torch.testing.assert_close(change(level=np.log(0.5)), frames / 2)
    torch.testing.assert_close(change(exponent=2.0), frames**2 / 255)
    darker_below = change(slope_y=-1.0)
    assert (darker_below[0, 1:, 0] < darker_below[0, :-1, 0]).all()
    lane = change(shadow=2.0)
    assert lane[0, 0, 10].item() == pytest.approx(100 * np.exp(-2), rel=1e-4)
    assert lane[0, 0, 0].item() == pytest.approx(100, rel=1e-4)
    blurred = change(blur=1.0)
    assert blurred[0, 10, 10].item() == pytest.approx(100 + 100 / 9, rel=1e-4)
    speckled = change(speckle=0.1, speckle_field=2, speckle_row=1, speckle_column=20)
    assert speckled[0, 0, 0].item() == pytest.approx(100 * (1 + 0.1 * fields[2, 1, 20].item()), rel=1e-4)
    assert speckled[0, 20, 1].item() == pytest.approx(100 * (1 + 0.1 * fields[2, 21, 21].item()), rel=1e-4)


@pytest.mark.parametrize(
    "settings", [{"approach": "mask", "fixed_copies": 0.3}, {"flip": 0.5}, {"scheme": "anatomical"}]
)
def test_steps_planned_together_are_those_planned_alone(chord_store, settings):
    config = tiny(batch_size=3, shadow=1.0, blur=0.5, **settings)
    codec = checkpoint.build(config)[1]
    for ranks in (Ranks(), Ranks(1, 2)):
        plans = Batches(chord_store, np.arange(20), codec, config, CPU, ranks)._plans
        together = list(plans[2, 0, plans.steps].batches())
        assert len(together) == plans.steps > 2
        for step, plan in enumerate(together):
            alone = plans[2, step, step + 1]
            assert (plan.shares, plan.counts) == (alone.shares, alone.counts)
            for name, array in alone._arrays().items():
                np.testing.assert_array_equal(getattr(plan, name), array, err_msg=name)
            assert len(alone._arrays()) == (4 if config.approach == "mask" else 5)


def test_a_gpu_is_not_waited_for(monkeypatch):
    """With replacements for pinned memory and for the copy to the device."""
    calls = []

    class Pinned:
        def to(self, device, non_blocking):
            calls.append((device.type, non_blocking))

    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: Pinned())
    to_device(np.zeros(3, np.float32), torch.device("cuda:1"))
    assert calls == [("cuda", True)]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_batches_of_a_gpu_are_those_of_the_cpu(disc_store, approach, workers):
    config = tiny(approach=approach, shadow=1.0, blur=0.5, workers=workers)
    made = [
        Batches(disc_store, np.arange(20), checkpoint.build(config)[1], config, torch.device(name)).epoch(0)
        for name in ("cpu", "cuda")
    ]
    for one, other in zip(*made, strict=True):
        torch.testing.assert_close(other.frames.cpu(), one.frames, atol=0.05, rtol=0)
        torch.testing.assert_close(other.targets.cpu(), one.targets, atol=1e-5, rtol=0)
        assert torch.equal(other.contours.cpu(), one.contours)
