"""Training with the user's own network, loss, augmentation and callbacks."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from echoseg.errors import DataError
from echoseg.evaluation.evaluate import evaluate
from echoseg.geometry.landmarks import choose_landmarks
from echoseg.inference.predictor import Predictor
from echoseg.training import checkpoint
from echoseg.training.batches import Batches
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.distributed import Ranks
from echoseg.training.loop import train

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


class Small(nn.Module):
    """A plain network that knows nothing of echoseg, with tied weights."""

    def __init__(self, channels: int, width: int = 8, step: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 5, padding=2)
        self.second = nn.Conv2d(width, width, 5, padding=2)
        self.third = self.second
        self.last = nn.Conv2d(width, channels, 5, padding=2, stride=step)
        self.seen = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.detach())
        for layer in (self.first, self.second, self.third):
            x = F.relu(layer(x))
        return self.last(x)


class Other(Small):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_a_network_from_outside_learns(disc_store, tmp_path, approach):
    config = train(
        tiny(approach=approach, landmarks=7, epochs=30, radius=5.0, gain=0.0, shade=0.0),
        disc_store,
        tmp_path / "run",
        network=Small,
    )
    model, codec = checkpoint.load_run(tmp_path / "run", Small)[1:]
    trained = evaluate(Predictor(config, model, codec, CPU), disc_store, "test").summary["dice"]
    untrained = evaluate(Predictor(config, *checkpoint.build(config, Small), CPU), disc_store, "test").summary["dice"]
    assert trained > 0.85 > untrained


def test_a_network_from_outside_gets_normalized_frames(disc_store):
    model = checkpoint.build(tiny(approach="mask"), Small)[0]
    logits = model(torch.from_numpy(disc_store.frames[:5].copy()))
    seen = model.network.seen[0]
    assert logits.shape == (5, 1, 32, 32)
    assert seen.shape == (5, 1, 32, 32)
    assert seen.dtype == torch.float32
    torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(dim=(1, 2, 3)), torch.ones(5), atol=0.05, rtol=0)


def test_logits_of_another_shape_are_refused(disc_store, tmp_path):
    with pytest.raises(ValueError, match=r"Small returned \(8, 9, 16, 16\), expected \(8, 9, 32, 32\)"):
        train(tiny(epochs=1), disc_store, tmp_path / "run", network=lambda channels: Small(channels, step=2))


def test_a_run_is_loaded_with_its_own_network_only(disc_store, tmp_path):
    train(tiny(epochs=1), disc_store, tmp_path / "small", network=Small)
    train(tiny(epochs=1), disc_store, tmp_path / "unet")
    frames = torch.from_numpy(disc_store.frames[:2].copy())
    model = checkpoint.load_run(tmp_path / "small", Small)[1]
    state = checkpoint.load_state(tmp_path / "small")[0]
    again = checkpoint.build(load_config(tmp_path / "small" / "config.yaml"), Small)[0].eval()
    again.load_state_dict(state["model"])
    assert torch.equal(model(frames), again(frames))
    with pytest.raises(DataError, match=r"network Small, which is not part of echoseg.*load\(run, network=\.\.\.\)"):
        checkpoint.load_run(tmp_path / "small")
    with pytest.raises(DataError, match="weights of Small, but the network given is Other"):
        checkpoint.load_run(tmp_path / "small", Other)
    with pytest.raises(DataError, match="weights of another network"):
        checkpoint.load_run(tmp_path / "small", lambda channels: Small(channels, width=9))
    with pytest.raises(DataError, match="weights of echoseg's U-Net, but the network given is Small"):
        checkpoint.load_run(tmp_path / "unet", Small)


def cross_entropy(logits, targets):
    return F.binary_cross_entropy_with_logits(logits, targets)


def test_a_loss_that_is_not_a_number_ends_the_training(disc_store, tmp_path):
    with pytest.raises(DataError, match="the loss of epoch 1 is nan; train again with a smaller --learning-rate"):
        train(
            tiny(approach="mask", epochs=2),
            disc_store,
            tmp_path / "run",
            loss=lambda logits, targets: cross_entropy(logits, targets) * float("nan"),
        )
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_loss_from_outside_takes_the_place_of_the_own(disc_store, tmp_path):
    train(tiny(approach="mask", loss="bce", epochs=2), disc_store, tmp_path / "own")
    train(tiny(approach="mask", loss="dice", epochs=2), disc_store, tmp_path / "given", loss=cross_entropy)
    logs = [list(csv.DictReader((tmp_path / name / "log.csv").read_text().splitlines())) for name in ("own", "given")]
    for own, given in zip(*logs, strict=True):
        assert float(own["train_loss"]) == pytest.approx(float(given["train_loss"]), rel=1e-4)
        assert float(own["val_dice"]) == pytest.approx(float(given["val_dice"]), rel=1e-4)


def mirror_and_shift(frames, points, random):
    """Mirror every other frame, and shift all by one number of whole pixels."""
    assert frames.dtype == np.uint8
    assert points.dtype == np.float32
    shift = int(random.integers(1, 5))
    frames, points = np.roll(frames, shift, axis=2), points + np.float32([shift, 0])
    frames[::2] = frames[::2, :, ::-1]
    points[::2, :, 0] = frames.shape[2] - 1 - points[::2, :, 0]
    return frames, points


def batches(store, config, augment=mirror_and_shift, ranks=None):
    return Batches(store, np.arange(20), checkpoint.build(config)[1], config, CPU, ranks, augment)


def collected(*arguments, **options):
    return [[part.clone() for part in batch[:2]] for batch in batches(*arguments, **options).epoch(1)]


def test_an_augmentation_from_outside_moves_frames_and_targets(disc_store):
    config = tiny(approach="mask")
    for frames, targets in collected(disc_store, config):
        dark = ((frames > 1) & (frames < 85)).float()
        inside = targets[:, 0] > 0
        assert (2 * (dark * inside).sum((1, 2)) / (dark.sum((1, 2)) + inside.sum((1, 2)))).mean() > 0.8
    plain = collected(disc_store, config, augment=lambda frames, points, random: (frames, points))
    order = np.random.default_rng([config.seed, 1]).permutation(np.arange(20))
    assert torch.equal(torch.cat([frames for frames, _ in plain]), torch.from_numpy(disc_store.frames[order]).float())


def test_landmarks_of_the_anatomy_move_with_an_augmentation_from_outside(chord_store):
    config = tiny(scheme="anatomical", landmarks=7)
    made = batches(chord_store, config)
    for step in range(len(made)):
        plan = made._plans[0, step, step + 1]
        expected = choose_landmarks(plan.contours, config.landmarks, scheme="anatomical")
        np.testing.assert_allclose(plan.landmarks, expected, atol=1e-3)


def test_an_augmentation_from_outside_repeats(disc_store):
    one, again, ahead = (collected(disc_store, tiny(workers=workers)) for workers in (0, 0, 1))
    for others in (again, ahead):
        for batch, other in zip(one, others, strict=True):
            assert all(map(torch.equal, batch, other))
    parts = [collected(disc_store, tiny(batch_size=4), ranks=Ranks(index, 2)) for index in range(2)]
    assert [len(frames) for frames, _ in parts[0] + parts[1]] == [4, 4, 2, 4, 4, 2]


def noise_of_torch(frames, points, random):
    return torch.randint(256, frames.shape, dtype=torch.uint8).numpy(), points


def test_torch_draws_other_numbers_in_the_workers_for_another_seed(disc_store):
    one, again, other = (collected(disc_store, tiny(workers=1, seed=seed), noise_of_torch) for seed in (0, 0, 1))
    assert torch.equal(one[0][0], again[0][0])
    assert not torch.equal(one[0][0], other[0][0])


def test_an_augmentation_of_another_shape_is_refused(disc_store):
    with pytest.raises(ValueError, match=r"frames \(8, 16, 32\) and points \(8, 24, 2\), expected \(8, 32, 32\)"):
        collected(disc_store, tiny(), augment=lambda frames, points, random: (frames[:, :16], points))


def test_callbacks_get_what_the_log_holds(disc_store, tmp_path):
    steps, epochs, saved = [], [], []

    def after_epoch(event):
        epochs.append(event)
        saved.append(checkpoint.load_state(tmp_path / "run")[0]["progress"]["epoch"])

    config = tiny(approach="mask", epochs=2)
    train(config, disc_store, tmp_path / "run", on_epoch=after_epoch, on_step=steps.append)
    assert [(event.epoch, event.step) for event in steps] == [(1 + step // 4, step + 1) for step in range(8)]
    assert [(event.epoch, event.epochs, event.step, event.steps) for event in epochs] == [(1, 2, 4, 8), (2, 2, 8, 8)]
    assert saved == [1, 2]
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    for number, (event, row) in enumerate(zip(epochs, rows, strict=True)):
        own = steps[4 * number : 4 * number + 4]
        assert event.loss == pytest.approx(np.mean([one.loss for one in own]), rel=1e-5)  # batches of 8 each
        assert event.dice == pytest.approx(float(row["train_dice"]), rel=1e-5)
        assert all(0 <= one.dice <= 1 for one in own)
        assert event.loss == pytest.approx(float(row["train_loss"]), rel=1e-5)
        assert event.val_dice == pytest.approx(float(row["val_dice"]), rel=1e-5)
        assert event.learning_rate == pytest.approx(float(row["learning_rate"]), rel=1e-5)
        assert all(one.val_dice is None for one in own)
    left = [event.seconds_left for event in steps]
    assert left[0] > left[-1] == epochs[-1].seconds_left == 0
    train(tiny(epochs=1, validation="none"), disc_store, tmp_path / "landmark", on_epoch=epochs.append)
    assert epochs[-1].dice is not None
    assert epochs[-1].val_loss is epochs[-1].val_dice is None


def test_seconds_left_respect_the_time_limit(disc_store, tmp_path):
    events = []
    train(tiny(epochs=500, max_minutes=0.02), disc_store, tmp_path / "run", on_step=events.append)
    assert max(event.seconds_left for event in events) <= 1.2


class StopError(Exception):
    pass


def test_a_run_is_resumed_with_the_same_functions_only(disc_store, tmp_path):
    def stop(event):
        if event.epoch == 1:
            raise StopError

    given = {"network": Small, "loss": cross_entropy, "augment": mirror_and_shift}
    config = tiny(epochs=2)
    train(config, disc_store, tmp_path / "whole", **given)
    with pytest.raises(StopError):
        train(config, disc_store, tmp_path / "run", **given, on_epoch=stop)
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert environment["custom"] == {"network": "Small", "loss": "cross_entropy", "augment": "mirror_and_shift"}
    resolved = load_config(tmp_path / "run" / "config.yaml")
    for missing in given:
        others = {name: function for name, function in given.items() if name != missing}
        with pytest.raises(DataError, match=r"trained with network Small, loss cross_entropy, .*resumed with"):
            train(resolved, disc_store, tmp_path / "run", resume=True, **others)
    wider = {**given, "network": lambda channels: Small(channels, width=9)}
    with pytest.raises(DataError, match=r"training_state\.pt: weights of another network"):
        train(resolved, disc_store, tmp_path / "run", resume=True, **wider)
    train(resolved, disc_store, tmp_path / "run", resume=True, **given)
    for name in ("model.safetensors", "last.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
