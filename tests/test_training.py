from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from echoseg.data.store import open_store
from echoseg.errors import DataError
from echoseg.geometry.ragged import pad_contours
from echoseg.inference.evaluate import evaluate
from echoseg.inference.predict import load
from echoseg.models.losses import LOSSES
from echoseg.models.unet import UNet
from echoseg.ops import fill_polygons
from echoseg.training import checkpoint
from echoseg.training.batch import Batches, random_maps, warp_frames
from echoseg.training.config import Config, load_config
from echoseg.training.loop import LOG_COLUMNS, learning_rate, train

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


# -- the network and its losses


def test_unet_shapes_and_gain_invariance():
    torch.manual_seed(0)
    model = UNet(3, width=4, depth=2).eval()
    frames = torch.randint(0, 100, (2, 32, 48), dtype=torch.uint8)
    with torch.inference_mode():
        logits = model(frames)
        brighter = model(frames * 2 + 30)
    assert logits.shape == (2, 3, 32, 48)
    torch.testing.assert_close(logits, brighter, atol=0.05, rtol=0.05)


def test_unet_takes_a_constant_frame():
    assert torch.isfinite(UNet(1, width=4, depth=2)(torch.zeros(2, 16, 16, dtype=torch.uint8))).all()


def test_spatial_cross_entropy_is_the_entropy_of_each_channel():
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    truth = targets.flatten(2) / targets.flatten(2).sum(2, keepdim=True)
    expected = -(truth * logits.flatten(2).softmax(2).log()).sum(2).mean()
    torch.testing.assert_close(LOSSES["spatial_ce"](logits, targets), expected)
    targets[0, 1] = 0  # a landmark off the image teaches nothing, and is not counted
    some = torch.ones(2, 3, dtype=torch.bool)
    some[0, 1] = False
    expected = -(truth * logits.flatten(2).softmax(2).log()).sum(2)[some].mean()
    torch.testing.assert_close(LOSSES["spatial_ce"](logits, targets), expected)
    assert LOSSES["spatial_ce"](logits, torch.zeros_like(targets)) == 0


def test_dice_and_cross_entropy_by_hand():
    logits = torch.tensor([[[[0.0, 0.0]]], [[[50.0, -50.0]]]])
    targets = torch.tensor([[[[1.0, 0.0]]], [[[1.0, 0.0]]]])
    # first image: p = 1/2 everywhere, so BCE ln 2 and soft Dice (2 * 1/2 + 1) / (1 + 1 + 1); second: perfect
    expected = np.log(2) / 2 + 1 - (2 / 3 + 1) / 2
    assert LOSSES["dice_bce"](logits, targets).item() == pytest.approx(expected, rel=1e-5)


# -- batches


def test_pixels_and_points_move_alike():
    config = tiny(rotation=40.0, zoom=0.3, shift=0.15)
    size = (40, 56)
    linear, offset = random_maps(np.random.default_rng(0), 20, size, config)
    random = np.random.default_rng(1)
    points = random.uniform((20, 14), (36, 26), (20, 2))
    y, x = np.mgrid[: size[0], : size[1]]
    blobs = np.exp(-((x - points[:, :1, None]) ** 2 + (y - points[:, 1:, None]) ** 2) / 2 / 2.0**2)
    moved = warp_frames(torch.from_numpy(blobs).float(), linear, offset).double().numpy()
    expected = np.einsum("nij,nj->ni", linear, points) + offset
    mass = moved.sum(axis=(1, 2))
    found = np.stack([(moved * x).sum(axis=(1, 2)) / mass, (moved * y).sum(axis=(1, 2)) / mass], axis=1)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_maps_stay_within_their_settings():
    config = tiny(rotation=10.0, zoom=0.1, shift=0.05)
    linear, offset = random_maps(np.random.default_rng(0), 500, (100, 200), config)
    scale = np.sqrt(np.linalg.det(linear))
    turn = np.rad2deg(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    centre = np.array([99.5, 49.5])
    shift = linear @ centre + offset - centre
    for values, limit in ((scale - 1, 0.1), (turn, 10), (shift[:, 0], 10), (shift[:, 1], 5)):
        assert 0.9 * limit < np.abs(values).max() <= limit + 1e-9
    still = random_maps(np.random.default_rng(0), 3, (100, 200), tiny(rotation=0.0, zoom=0.0, shift=0.0))
    np.testing.assert_array_equal(still[0], np.tile(np.eye(2), (3, 1, 1)))
    np.testing.assert_allclose(still[1], 0)


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_batches_draw_the_moved_contours(disc_store, approach):
    config = tiny(approach=approach, gamma=0.0, noise=0.0, gain=0.0, shade=0.0)
    codec = checkpoint.build(config)[1]
    batches = Batches(disc_store, np.arange(20), codec, config, torch.device("cpu"))
    seen = 0
    for frames, targets in batches.epoch(0):
        seen += len(frames)
        if approach == "mask":
            # the discs are the dark part of a grey square
            dark = ((frames > 1) & (frames < 85)).float()
            inside = targets[:, 0] > 0
            agreement = 2 * (dark * inside).sum((1, 2)) / (dark.sum((1, 2)) + inside.sum((1, 2)))
            assert agreement.mean() > 0.8
        else:
            assert targets.shape[1] == 7
            assert targets.amax() <= 1
    assert seen == 20
    assert len(batches) == 3


def test_wild_greys_stay_greys(disc_store):
    config = tiny(gamma=2.0, noise=2.0, gain=3.0, shade=3.0)
    for frames, _ in Batches(disc_store, np.arange(48), checkpoint.build(config)[1], config, torch.device("cpu")).epoch(
        0
    ):
        assert frames.min() >= 0
        assert frames.max() <= 255
        assert torch.isfinite(frames).all()


def test_batches_repeat_by_seed_and_epoch(disc_store):
    config = tiny()

    def first(epoch, seed):
        settings = dataclasses.replace(config, seed=seed)
        codec = checkpoint.build(settings)[1]
        batches = Batches(disc_store, np.arange(20), codec, settings, torch.device("cpu"))
        return [tensor.clone() for tensor in next(iter(batches.epoch(epoch)))]

    again, other_epoch, other_seed = first(3, 0), first(4, 0), first(3, 1)
    for a, b, c, d in zip(first(3, 0), again, other_epoch, other_seed, strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
        assert not torch.equal(a, d)


# -- codecs


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_decoding_what_was_encoded_gives_the_mask_back(disc_store, approach):
    codec = checkpoint.build(tiny(approach=approach, sigma=1.0))[1]
    contours = pad_contours(disc_store.points, disc_store.offsets)
    targets = torch.from_numpy(codec.encode(contours, (32, 32)).astype(np.float32))
    decoded = codec.decode(20 * targets - 10, (32, 32))
    true = fill_polygons(contours, (32, 32))
    agreement = 2 * (decoded.masks & true).sum((1, 2)) / (decoded.masks.sum((1, 2)) + true.sum((1, 2)))
    assert agreement.min() > (0.999 if approach == "mask" else 0.9)
    larger = codec.decode(20 * targets - 10, (64, 96))
    assert larger.masks.shape == larger.probabilities.shape == (48, 64, 96)
    np.testing.assert_allclose(larger.masks.sum((1, 2)) / 6, true.sum((1, 2)), rtol=0.15)


def test_a_smaller_batch_after_a_larger_one(disc_store):
    codec = checkpoint.build(tiny(approach="landmark"))[1]
    contours = pad_contours(disc_store.points, disc_store.offsets)
    codec.encode(contours, (32, 32))
    again = codec.encode(contours[3:5], (32, 32)).copy()
    fresh = checkpoint.build(tiny(approach="landmark"))[1].encode(contours[3:5], (32, 32))
    np.testing.assert_array_equal(again, fresh)


# -- configuration


def test_configuration_survives_the_file(tmp_path):
    config = tiny(approach="mask", epochs=3, ordering="angle", test_fold="2")
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(tmp_path / "config.yaml", seed=5).seed == 5
    (tmp_path / "other.yaml").write_text("learning_rate: 1e-3\ndata: here\n")
    assert load_config(tmp_path / "other.yaml").learning_rate == 1e-3
    assert Path(load_config(tmp_path / "other.yaml").data).is_absolute()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data: ''", "data is empty"),
        ("rotation: .inf", "at most 180"),
        ("size: [16, 16]", "2, 3, … times 16"),
        ("epochz: 3", "unknown setting 'epochz'"),
        ("epochs: three", "epochs is 'three'"),
        ("epochs: 0", "at least 1"),
        ("epochs: true", "epochs is True"),
        ("approach: both", "known: mask, landmark"),
        ("ordering: spiral", "known: chords"),
        ("learning_rate: .nan", "at most 10"),
        ("learning_rate: -1", "more than 0"),
        ("size: [112, 100]", "times 16"),
        ("size: 112", "size is 112"),
        ("- 1", "expected lines"),
        ("a: [", "not a YAML file"),
    ],
)
def test_bad_configuration_names_file_and_setting(tmp_path, text, words):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"my\.yaml") as error:
        load_config(path)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# -- the loop


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_a_tiny_network_learns_discs(disc_store, tmp_path, approach):
    config = train(tiny(approach=approach, epochs=50, radius=5.0, gain=0.0, shade=0.0), disc_store, tmp_path / "run")
    result = evaluate(load(tmp_path / "run", device="cpu"), disc_store, "test")
    assert config.epochs == 50
    assert result.summary["dice"] > 0.85
    assert result.summary["images"] == 8
    assert result.summary["all_black"]["dice"] == 0
    assert result.summary["all_black"]["dice_all_pixels"] > 0.7
    assert ("landmark_error_px" in result.summary) == (approach == "landmark")
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(50)]
    assert tuple(rows[0]) == LOG_COLUMNS
    best = max(float(row["val_dice"]) for row in rows)
    again = evaluate(load(tmp_path / "run", device="cpu"), disc_store, "val")
    assert again.summary["dice"] == pytest.approx(best, abs=1e-5)


def test_without_validation_all_others_train_and_the_last_weights_count(disc_store, tmp_path):
    train(tiny(epochs=2, validation="none"), disc_store, tmp_path / "run")
    model, last = (tmp_path / "run" / name for name in ("model.safetensors", "last.safetensors"))
    assert model.read_bytes() == last.read_bytes()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["val_dice"] for row in rows] == ["nan", "nan"]
    predictor = load(tmp_path / "run", device="cpu")
    assert predictor.config.splits(disc_store.samples).tolist().count("train") == 40
    with pytest.raises(DataError, match="no image in split 'val'"):
        evaluate(predictor, disc_store, "val")


def test_a_resumed_run_equals_an_uninterrupted_one(disc_store, tmp_path, monkeypatch):
    config = tiny(epochs=4)
    train(config, disc_store, tmp_path / "whole")
    save_state, calls = checkpoint.save_state, []

    def stop_after_two(path, state):
        save_state(path, state)
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_state", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train(config, disc_store, tmp_path / "cut")
    monkeypatch.undo()
    settings = load_config(tmp_path / "cut" / "config.yaml")
    splits = list(disc_store.samples["split"])
    other = dataclasses.replace(disc_store, samples=disc_store.samples.assign(split=splits[1:] + splits[:1]))
    with pytest.raises(DataError, match="not those that the run began with"):
        train(settings, other, tmp_path / "cut", resume=True)
    train(settings, disc_store, tmp_path / "cut", resume=True)
    for name in ("model.safetensors", "last.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_a_run_stopped_before_its_first_checkpoint_starts_anew(disc_store, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    train(tiny(epochs=1), disc_store, tmp_path / "whole")
    monkeypatch.setattr(checkpoint, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(epochs=1), disc_store, tmp_path / "cut")
    monkeypatch.undo()
    train(tiny(epochs=1), disc_store, tmp_path / "cut", resume=True)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_training_refuses(disc_store, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError):
        train(tiny(), disc_store, tmp_path / "there")
    with pytest.raises(DataError, match="device 'gpu'"):
        train(tiny(device="gpu"), disc_store, tmp_path / "run")
    for name, splits in (("val", ["TRAIN", "TEST"]), ("test", ["TRAIN", "VAL"]), ("train", ["VAL", "TEST"])):
        lacking = dataclasses.replace(disc_store, samples=disc_store.samples.assign(split=splits * 24))
        with pytest.raises(DataError, match=f"no image in split {name!r}"):
            train(tiny(), lacking, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_damaged_checkpoints_are_named(disc_store, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(DataError, match="echoseg train"):
        load(run)
    train(tiny(epochs=1), disc_store, run)
    state = run / "training_state.pt"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(DataError, match="training_state"):
        train(tiny(epochs=1), disc_store, run, resume=True)
    model = run / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"model\.safetensors"):
        load(run)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    rates = np.array([learning_rate(step, 100, 2.0) for step in range(100)])
    assert rates.max() == 2.0
    assert rates.argmax() == 9
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] < 0.01


def test_predictor_at_any_size(disc_store, tmp_path):
    train(tiny(epochs=1, approach="landmark"), disc_store, tmp_path / "run")
    predictor = load(tmp_path / "run", device="cpu")
    frames = np.random.default_rng(0).integers(0, 255, (11, 50, 70), dtype=np.uint8)
    prediction = predictor(frames)
    backwards = predictor(np.flip(frames, axis=0))
    np.testing.assert_array_equal(backwards.masks[::-1], prediction.masks)
    assert prediction.masks.shape == prediction.probabilities.shape == (11, 50, 70)
    assert prediction.masks.dtype == np.uint8
    assert prediction.landmarks.shape == (11, 7, 2)
    assert prediction.areas.tolist() == prediction.masks.sum((1, 2)).tolist()
    assert predictor(np.zeros((0, 50, 70), np.uint8)).masks.shape == (0, 50, 70)
    with pytest.raises(ValueError, match="uint8"):
        predictor(np.zeros((2, 50, 70)))


def test_evaluating_another_size_is_refused(disc_store, tmp_path):
    train(tiny(epochs=1), disc_store, tmp_path / "run")
    predictor = load(tmp_path / "run", device="cpu")
    store = open_store(disc_store.path)
    other = dataclasses.replace(store, frames=store.frames[:, :16])
    with pytest.raises(DataError, match="prepare anew"):
        evaluate(predictor, other)
    with pytest.raises(DataError, match="no image in split"):
        evaluate(predictor, dataclasses.replace(store, samples=store.samples.assign(split="TRAIN")))
