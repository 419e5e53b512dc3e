from __future__ import annotations

import csv
import dataclasses
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from echoseg.datasets.store import open_store
from echoseg.errors import DataError
from echoseg.evaluation.evaluate import evaluate
from echoseg.inference.predictor import load
from echoseg.metrics.overlap import dice
from echoseg.training import checkpoint, loop, optimization, progress_bar
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.loop import train
from echoseg.training.optimization import learning_rate
from echoseg.training.progress_bar import ProgressBar, running_dice
from echoseg.training.run_files import LOG_COLUMNS, training_seconds
from echoseg.training.stopwatch import Stopwatch
from echoseg.training.validation import Scores, Validation

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**TINY, **settings})


@pytest.mark.slow
@pytest.mark.parametrize(("approach", "network"), [("mask", "unet"), ("landmark", "unet"), ("mask", "resunet")])
def test_a_tiny_network_learns_discs(disc_store, tmp_path, approach, network):
    settings = {"landmarks": 7, "epochs": 50, "radius": 5.0, "gain": 0.0, "shade": 0.0}
    config = train(tiny(approach=approach, network=network, **settings), disc_store, tmp_path / "run")
    result = evaluate(load(tmp_path / "run", device="cpu"), disc_store, "test")
    assert config.epochs == 50
    assert result.summary["dice"] > 0.85
    assert result.summary["images"] == 8
    assert result.summary["all_black"]["dice"] == 0
    assert result.summary["all_black"]["dice_all_pixels"] > 0.7
    assert ("landmark_error_px" in result.summary) == (approach == "landmark")
    if approach == "landmark":
        errors = result.images[[f"error{k}_px" for k in range(7)]]
        np.testing.assert_allclose(errors.mean(axis=1), result.images["landmark_error_px"])
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(50)]
    assert tuple(rows[0]) == LOG_COLUMNS
    for row in rows:
        parts = [float(value) for name, value in row.items() if name.endswith("_seconds") and name != "epoch_seconds"]
        assert float(row["epoch_seconds"]) >= 0.99 * sum(parts) > 0
    best = max(float(row["val_dice"]) for row in rows)
    again = evaluate(load(tmp_path / "run", device="cpu"), disc_store, "val")
    assert again.summary["dice"] == pytest.approx(best, abs=1e-5)


@pytest.mark.slow
def test_short_epochs_without_validation_are_saved_together(disc_store, tmp_path, monkeypatch):
    saved = []
    save_state = checkpoint.save_state
    monkeypatch.setattr(checkpoint, "save_state", lambda run, state: saved.append(state) or save_state(run, state))
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_SAVES", 1e6)
    train(tiny(epochs=20, validation="none", images=8), disc_store, tmp_path / "run")
    assert [state["progress"]["epoch"] for state in saved] == [20]
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [str(i + 1) for i in range(20)]
    model, last = (tmp_path / "run" / name for name in ("model.safetensors", "last.safetensors"))
    assert model.read_bytes() == last.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"approach": "mask", "precision": "bfloat16"}, {"precision": "float32"}])
def test_autocast_of_the_caller_changes_no_weight(disc_store, tmp_path, settings):
    train(tiny(epochs=2, **settings), disc_store, tmp_path / "run")
    with torch.autocast("cpu", torch.bfloat16):
        train(tiny(epochs=2, **settings), disc_store, tmp_path / "again")
    assert_equal_weights(tmp_path / "run", tmp_path / "again")


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_a_default_dtype_of_the_caller_is_not_taken(disc_store, tmp_path, approach):
    torch.set_default_dtype(torch.float64)
    try:
        train(tiny(epochs=1, approach=approach), disc_store, tmp_path / "run")
    finally:
        torch.set_default_dtype(torch.float32)
    weights = checkpoint.read_weights(tmp_path / "run" / "model.safetensors")[0]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32, torch.int64}


def test_without_validation_all_others_train_and_the_last_weights_count(disc_store, tmp_path):
    train(tiny(epochs=2, validation="none"), disc_store, tmp_path / "run")
    model, last = (tmp_path / "run" / name for name in ("model.safetensors", "last.safetensors"))
    assert model.read_bytes() == last.read_bytes()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [(row["val_loss"], row["val_dice"]) for row in rows] == [("nan", "nan")] * 2
    predictor = load(tmp_path / "run", device="cpu")
    assert predictor.config.splits(disc_store.samples).tolist().count("train") == 40
    with pytest.raises(DataError, match="no image in split 'val'"):
        evaluate(predictor, disc_store, "val")


@pytest.mark.slow
@pytest.mark.parametrize("validation", ["split", "last"])
def test_the_best_weights_are_kept_or_the_last(disc_store, tmp_path, monkeypatch, validation):
    dice_by_epoch = [0.5, 0.9, 0.3]
    scores = iter(dice_by_epoch)
    monkeypatch.setattr(Validation, "score", lambda *_: Scores(1.0, next(scores)))
    train(tiny(epochs=3, validation=validation), disc_store, tmp_path / "run")
    kept, last = (tmp_path / "run" / name for name in ("model.safetensors", "last.safetensors"))
    state = checkpoint.load_state(tmp_path / "run")[0]["model"]
    same = all(torch.equal(state[name], tensor) for name, tensor in load_file(kept).items())
    assert same == (validation == "last")
    assert all(torch.equal(state[name], tensor) for name, tensor in load_file(last).items())
    rows = csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines())
    assert [float(row["val_dice"]) for row in rows] == dice_by_epoch


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_the_curves_are_means_over_the_images(disc_store, tmp_path, approach):
    """Without augmentation, batch norm and progress, the training's means are those of a validation."""
    unchanged = dict.fromkeys(("rotation", "zoom", "shift", "flip", "gamma", "gain", "shade", "noise"), 0.0)
    config = tiny(approach=approach, epochs=1, norm="none", learning_rate=1e-12, weight_decay=0.0, **unchanged)
    config = train(config, disc_store, tmp_path / "run")
    (row,) = csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines())
    _, model, codec = checkpoint.load_run(tmp_path / "run")
    loss_of = optimization.make_loss(config, disc_store.size, torch.device("cpu"))
    for prefix in ("train", "val"):
        indices = np.flatnonzero(config.splits(disc_store.samples) == prefix)
        loss, score = Validation(codec, loss_of, disc_store, indices, config, torch.device("cpu")).score(model)
        assert float(row[f"{prefix}_loss"]) == pytest.approx(loss, rel=1e-4)
        assert float(row[f"{prefix}_dice"]) == pytest.approx(score, rel=1e-4)
        summary = evaluate(load(tmp_path / "run", device="cpu"), disc_store, prefix).summary
        assert score == pytest.approx(summary["dice"], rel=1e-4)


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_a_few_batches_of_an_epoch_are_decoded(disc_store, tmp_path, monkeypatch, approach):
    scored, batch_dice = [], loop.batch_dice

    def note(*arguments):
        scored.append(1)
        return batch_dice(*arguments)

    monkeypatch.setattr(loop, "batch_dice", note)
    train(tiny(approach=approach, epochs=1, batch_size=2), disc_store, tmp_path / "run")
    assert len(scored) == 4  # of 16


def test_images_may_be_split_one_by_one_with_a_warning(disc_store, tmp_path, caplog):
    shares = {"split_shares": (0.5, 0.25, 0.25), "preset": "rodriguez", "epochs": 1}
    config = train(tiny(**shares), disc_store, tmp_path / "patients")
    assert not caplog.messages
    train(tiny(split_by="image", **shares), disc_store, tmp_path / "images")
    (message,) = caplog.messages
    assert "images of one patient are in the training and in the test split" in message
    # the run keeps its boundaries: a subset of the data has no training patient in its test split
    whole, part = (config.splits(samples) for samples in (disc_store.samples, disc_store.samples[::3]))
    np.testing.assert_array_equal(whole[::3], part)


@pytest.mark.slow
def test_a_run_of_an_earlier_version_is_resumed(disc_store, tmp_path, monkeypatch):
    config = tiny(approach="mask", epochs=3, checkpoint_minutes=1e-9)
    train(config, disc_store, tmp_path / "whole")
    run = tmp_path / "run"
    stopped(monkeypatch, config, disc_store, run, 7)  # in the second epoch
    state = checkpoint.load_state(run)[0]
    for name in ("decoded", "decoded_dice"):
        del state["progress"][name]
    state["progress"]["log"] = [[*row[:3], *row[5:]] for row in state["progress"]["log"]]
    checkpoint.save_state(run, state)
    train(load_config(run / "config.yaml"), disc_store, run, resume=True)
    assert_equal_weights(tmp_path / "whole", run)
    logs = [list(csv.DictReader((folder / "log.csv").read_text().splitlines())) for folder in (tmp_path / "whole", run)]
    assert logs[1][0]["train_dice"] == "nan"
    assert logs[1][2]["train_dice"] == logs[0][2]["train_dice"]
    for column in ("train_loss", "val_dice"):
        assert [row[column] for row in logs[0]] == [row[column] for row in logs[1]]


def stopped(monkeypatch, config, store, run, saves):
    """Train, and interrupt right after the state was saved so many times."""
    save_state, calls = checkpoint.save_state, []

    def save_and_stop(path, state):
        save_state(path, state)
        calls.append(path)
        if len(calls) == saves:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            train(config, store, run)


def assert_equal_weights(run, other):
    for name in ("model.safetensors", "last.safetensors"):
        assert (run / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"fixed_copies": 0.1, "network": "resunet"},
        {"dropout": 0.2, "ema": 0.9, "optimizer": "sgd", "clip": 1.0},
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(disc_store, tmp_path, monkeypatch, settings):
    config = tiny(epochs=3, checkpoint_minutes=1e-9, **settings)  # a checkpoint each step
    train(config, disc_store, tmp_path / "whole")
    for saves in (2, 5, 6):  # in mid-epoch, at the last step of an epoch, after the epoch
        run = tmp_path / f"cut {saves}"
        stopped(monkeypatch, config, disc_store, run, saves)
        train(load_config(run / "config.yaml"), disc_store, run, resume=True)
        assert_equal_weights(tmp_path / "whole", run)
        state, _ = checkpoint.load_state(run)
        assert 0 < training_seconds(run)["training"] < 60.01 * state["progress"]["minutes"]
        logs = [(folder / "log.csv").read_text().splitlines() for folder in (tmp_path / "whole", run)]
        assert [line.split(",")[:6] for line in logs[0]] == [line.split(",")[:6] for line in logs[1]]


def test_a_run_is_resumed_on_its_own_data_only(disc_store, tmp_path, monkeypatch):
    stopped(monkeypatch, tiny(epochs=2), disc_store, tmp_path / "run", 1)
    splits = list(disc_store.samples["split"])
    other = dataclasses.replace(disc_store, samples=disc_store.samples.assign(split=splits[1:] + splits[:1]))
    with pytest.raises(DataError, match="not those that the run began with"):
        train(load_config(tmp_path / "run" / "config.yaml"), other, tmp_path / "run", resume=True)


@pytest.mark.slow
def test_a_run_is_resumed_with_no_fewer_epochs_than_have_begun(disc_store, tmp_path, monkeypatch):
    run = tmp_path / "run"
    stopped(monkeypatch, tiny(epochs=6, checkpoint_minutes=1e-9), disc_store, run, 6)  # in the second epoch
    config = load_config(run / "config.yaml")
    with pytest.raises(DataError, match=r"config\.yaml: epochs is 1, but epoch 2 has begun; give at least 2"):
        train(dataclasses.replace(config, epochs=1), disc_store, run, resume=True)
    train(dataclasses.replace(config, epochs=2), disc_store, run, resume=True)
    assert len((run / "log.csv").read_text().splitlines()) == 3
    model = (run / "model.safetensors").read_bytes()
    train(dataclasses.replace(config, epochs=2), disc_store, run, resume=True)
    assert (run / "model.safetensors").read_bytes() == model


def test_a_run_is_resumed_by_as_many_processes(disc_store, tmp_path, monkeypatch):
    run = tmp_path / "run"
    stopped(monkeypatch, tiny(epochs=2), disc_store, run, 1)
    config, state = load_config(run / "config.yaml"), checkpoint.load_state(run)[0]
    assert state["ranks"] == 1
    checkpoint.save_state(run, state | {"ranks": 2})
    message = r"trained by 2 processes, resumed by 1; resume it by torchrun --nproc-per-node 2"
    with pytest.raises(DataError, match=message):
        train(config, disc_store, run, resume=True)
    del state["ranks"]  # of an earlier version
    checkpoint.save_state(run, state)
    train(config, disc_store, run, resume=True)


@pytest.mark.slow
def test_a_run_stopped_before_its_first_checkpoint_starts_again(disc_store, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    train(tiny(epochs=1), disc_store, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_state", stop)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(epochs=1), disc_store, tmp_path / "cut")
    train(tiny(epochs=1), disc_store, tmp_path / "cut", resume=True)
    assert_equal_weights(tmp_path / "whole", tmp_path / "cut")


def test_a_run_folder_has_its_settings_or_is_not_there(disc_store, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_environment", stop)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(epochs=1), disc_store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_damaged_state_is_reported_and_the_one_before_it_used(disc_store, tmp_path, monkeypatch, caplog):
    config = tiny(epochs=3)
    train(config, disc_store, tmp_path / "whole")
    stopped(monkeypatch, config, disc_store, tmp_path / "run", 2)
    state = tmp_path / "run" / "training_state.pt"
    whole = state.read_bytes()
    for damaged in (whole[:100], whole[:-1], whole[:500] + bytes([whole[500] ^ 1]) + whole[501:], b""):
        state.write_bytes(damaged)
        loaded, complaint = checkpoint.load_state(tmp_path / "run")
        assert loaded["progress"]["epoch"] == 1
        assert "training_state.pt: damaged" in complaint
    train(load_config(tmp_path / "run" / "config.yaml"), disc_store, tmp_path / "run", resume=True)
    assert "training_state.pt: damaged" in caplog.text
    assert_equal_weights(tmp_path / "whole", tmp_path / "run")
    state.unlink()  # killed between the two moves
    assert checkpoint.load_state(tmp_path / "run")[0]["progress"]["epoch"] == 2
    (tmp_path / "run" / "training_state.previous.pt").write_bytes(b"")
    with pytest.raises(DataError, match="nothing to resume from"):
        checkpoint.load_state(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_signal_saves_the_state_at_the_next_step(disc_store, tmp_path, monkeypatch, caplog, number, code):
    config, steps = tiny(epochs=3), []
    train(config, disc_store, tmp_path / "whole")
    step = loop._Trainer._step

    def step_and_signal(self, *arguments):
        steps.append(1)
        if len(steps) == 6:
            os.kill(os.getpid(), number)
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Trainer, "_step", step_and_signal)
        with pytest.raises(SystemExit if code == 143 else KeyboardInterrupt) as stop:
            train(config, disc_store, tmp_path / "a run")
    assert code == 130 or stop.value.code == 143
    cause = "SIGTERM" if code == 143 else "Ctrl-C"
    command = f"echoseg train --resume --out '{tmp_path / 'a run'}'"
    where = f"stopped by {cause} in epoch 2 of 3 after step 2 of 4"
    assert caplog.messages == [f"{where}; the state is saved, go on with {command}"]
    state, _ = checkpoint.load_state(tmp_path / "a run")
    assert state["progress"]["epoch"] * 4 + state["progress"]["step"] == 6
    train(load_config(tmp_path / "a run" / "config.yaml"), disc_store, tmp_path / "a run", resume=True)
    assert_equal_weights(tmp_path / "whole", tmp_path / "a run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_last_epoch_is_obeyed_too(disc_store, tmp_path, caplog, number):
    run = tmp_path / "run"
    with pytest.raises(SystemExit if number == signal.SIGTERM else KeyboardInterrupt):
        train(tiny(epochs=1), disc_store, run, on_epoch=lambda _: signal.raise_signal(number))
    (message,) = caplog.messages
    command = f"echoseg train --resume --out {run}"
    assert message.endswith(f"after epoch 1, the last one; the state is saved, go on with {command}")
    assert (run / "last.safetensors").exists()


@pytest.mark.slow
def test_a_run_that_was_out_of_time_is_finished_until_it_gets_more(disc_store, tmp_path):
    run = tmp_path / "run"
    config = train(tiny(epochs=3, max_minutes=1e-6), disc_store, run)
    kept = [(run / name).read_bytes() for name in ("model.safetensors", "last.safetensors", "log.csv")]
    train(config, disc_store, run, resume=True)
    assert [(run / name).read_bytes() for name in ("model.safetensors", "last.safetensors", "log.csv")] == kept
    train(dataclasses.replace(config, max_minutes=10.0), disc_store, run, resume=True)
    assert len((run / "log.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_patience_and_minutes_end_a_run(disc_store, tmp_path):
    train(tiny(epochs=50, patience=2, learning_rate=1e-9), disc_store, tmp_path / "patience")
    assert len((tmp_path / "patience" / "log.csv").read_text().splitlines()) < 20
    train(tiny(epochs=50, max_minutes=1e-6), disc_store, tmp_path / "late")
    assert len((tmp_path / "late" / "log.csv").read_text().splitlines()) == 2
    assert load(tmp_path / "late", device="cpu").config.max_minutes == 1e-6


@pytest.mark.slow
def test_the_moving_average_is_what_counts(disc_store, tmp_path):
    for ema in (0.0, 0.999):
        train(tiny(epochs=2, ema=ema), disc_store, tmp_path / str(ema))
    plain, average = (checkpoint.load_run(tmp_path / name)[1].state_dict() for name in ("0.0", "0.999"))
    state = checkpoint.load_state(tmp_path / "0.999")[0]
    assert all(torch.equal(plain[name], state["model"][name]) for name in plain)  # it does not touch the training
    assert any(not torch.equal(plain[name], average[name]) for name in plain)


def test_bfloat16_trains_too(disc_store, tmp_path):
    train(tiny(epochs=1, precision="bfloat16"), disc_store, tmp_path / "run")
    assert load(tmp_path / "run", device="cpu").config.precision == "bfloat16"
    resolved = train(tiny(epochs=1, precision="auto"), disc_store, tmp_path / "auto")
    assert resolved.precision in ("float32", "bfloat16")


@pytest.mark.parametrize(
    ("flags", "precision"), [("avx2 avx512_bf16 sha", "bfloat16"), ("avx2 avx512bw", "float32"), (None, "float32")]
)
def test_the_precision_follows_from_the_processor_not_from_a_timing(flags, precision, tmp_path, monkeypatch):
    processor = tmp_path / "cpuinfo"
    if flags:
        processor.write_text(f"flags\t\t: fpu {flags}\n")
    monkeypatch.setattr(optimization, "_CPU_INFO", processor)
    assert optimization.faster_precision(torch.device("cpu")) == precision


@pytest.mark.slow
def test_the_bar_shows_the_epoch_so_far(disc_store, tmp_path, monkeypatch):
    shown, show = [], ProgressBar.show

    def noted(bar, *means, **others):
        show(bar, *means, **others)
        shown.append(dict(bar.values))

    monkeypatch.setattr(sys, "stderr", terminal())
    monkeypatch.setattr(progress_bar, "_SECONDS_BETWEEN_UPDATES", 0.0)
    monkeypatch.setattr(ProgressBar, "show", noted)
    train(tiny(approach="mask", epochs=2), disc_store, tmp_path / "mask")
    assert [list(one) for one in shown] == [["loss", "dice"]] * 4 + [["loss", "dice", "val_dice"]] * 6
    rows = list(csv.DictReader((tmp_path / "mask" / "log.csv").read_text().splitlines()))
    for row, after in zip(rows, shown[4::5], strict=True):
        assert after["loss"] == pytest.approx(float(row["train_loss"]), rel=1e-4)
        assert after["val_dice"] == pytest.approx(float(row["val_dice"]), rel=1e-4)
        assert 0 < after["dice"] < 1
    shown.clear()
    train(tiny(approach="landmark", epochs=1), disc_store, tmp_path / "landmark")
    assert list(shown[0]) == ["loss"]  # no Dice without decoding


def terminal():
    stream = io.StringIO()
    stream.isatty = lambda: True
    return stream


def test_the_running_dice_is_that_of_the_metrics():
    random = np.random.default_rng(0)
    logits = random.normal(size=(5, 1, 8, 9)).astype(np.float32)
    targets = (random.random(logits.shape) > 0.7).astype(np.float32)
    logits[1], targets[2] = -1, 0
    logits[3], targets[3] = -1, 0
    expected = dice((logits[:, 0] > 0).astype(np.uint8), targets[:, 0].astype(np.uint8), both_empty=1).mean()
    assert running_dice(torch.from_numpy(logits), torch.from_numpy(targets)).item() == pytest.approx(expected)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_update_shows_what_the_update_before_it_copied(monkeypatch):
    monkeypatch.setattr(progress_bar, "_SECONDS_BETWEEN_UPDATES", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal())
    with ProgressBar(9, "mask", shown=True) as bar:
        for images in (1, 2, 4):
            bar.step(torch.tensor([6.0, 1.0], device="cuda"), images)
            torch.cuda.synchronize()
        assert bar.values == {"loss": 3.0, "dice": 0.5}


@pytest.mark.slow
def test_tensorboard_shows_the_log(disc_store, tmp_path, monkeypatch):
    """With a replacement for TensorBoard, which is an optional dependency."""
    shown, opened = {}, []

    class Writer:
        def __init__(self, folder, purge_step):
            opened.append((Path(folder), purge_step))

        def add_scalar(self, name, value, epoch):
            shown[name, epoch] = value

        def flush(self):
            pass

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    run, config = tmp_path / "run", tiny(epochs=3, tensorboard=True)
    stopped(monkeypatch, config, disc_store, run, 1)
    train(config, disc_store, run, resume=True)
    assert opened == [(run / "tensorboard", 1), (run / "tensorboard", 2)]
    for row in csv.DictReader((run / "log.csv").read_text().splitlines()):
        for name in LOG_COLUMNS[1:]:
            assert shown[name, int(row["epoch"])] == pytest.approx(float(row[name]), rel=1e-4)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(DataError, match=r"echoseg\[tensorboard\]"):
        train(config, disc_store, tmp_path / "without")
    assert not (tmp_path / "without").exists()


TWO_RANKS = """
import sys
from pathlib import Path
import torch
from echoseg.datasets.store import open_store
from echoseg.training.config import Config
from echoseg.training.distributed import ranks_of_torchrun
from echoseg.training.loop import train
torch.set_num_threads(1)
with ranks_of_torchrun("cpu") as ranks:
    for approach in ("mask", "landmark"):
        config = Config(size=(32, 32), width=4, depth=2, batch_size=8, device="cpu", precision="float32", epochs=3,
                        approach=approach, norm="group")
        train(config, open_store(sys.argv[1]), Path(sys.argv[2]) / approach, ranks=ranks)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="gloo is built for Linux")
def test_two_ranks_equal_one_with_the_double_batch(disc_store, tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_RANKS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command = [*torchrun, str(script), str(disc_store.path), str(tmp_path / "two")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    for approach in ("mask", "landmark"):
        # batch statistics are a rank's own on the CPU: hence group norm
        one, two = tmp_path / "one" / approach, tmp_path / "two" / approach
        train(tiny(approach=approach, epochs=3, batch_size=16, norm="group"), disc_store, one)
        curves = [np.genfromtxt(run / "log.csv", delimiter=",", names=True) for run in (one, two)]
        for column in ("train_loss", "train_dice", "val_loss", "val_dice"):
            np.testing.assert_allclose(curves[0][column], curves[1][column], atol=1e-4)


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
    model = run / "model.safetensors"
    whole = model.read_bytes()
    for damaged in (whole[:-50], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        model.write_bytes(damaged)
        with pytest.raises(DataError, match=r"model\.safetensors: damaged"):
            load(run)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    rates = np.array([learning_rate(step, 100, tiny(learning_rate=2.0)) for step in range(100)])
    assert rates.max() == 2.0
    assert rates.argmax() == 9
    assert (np.diff(rates[:10]) > 0).all()
    assert (np.diff(rates[10:]) < 0).all()
    assert rates[-1] < 0.01
    assert learning_rate(99, 100, tiny(schedule="constant", learning_rate=2.0)) == 2.0


def test_predictor_at_any_size(disc_store, tmp_path):
    train(tiny(epochs=1, approach="landmark"), disc_store, tmp_path / "run")
    predictor = load(tmp_path / "run", device="cpu")
    frames = np.random.default_rng(0).integers(0, 255, (11, 50, 70), dtype=np.uint8)
    prediction = predictor(frames)
    backwards = predictor(np.flip(frames, axis=0))
    np.testing.assert_array_equal(backwards.masks[::-1], prediction.masks)
    assert prediction.masks.shape == prediction.probabilities.shape == (11, 50, 70)
    assert prediction.masks.dtype == np.uint8
    assert prediction.landmarks.shape == (11, 9, 2)
    assert prediction.areas.tolist() == prediction.masks.sum((1, 2)).tolist()
    assert predictor(np.zeros((0, 50, 70), np.uint8)).masks.shape == (0, 50, 70)
    with pytest.raises(ValueError, match="uint8"):
        predictor(np.zeros((2, 50, 70)))


def test_evaluating_another_size_is_refused(disc_store, tmp_path):
    train(tiny(epochs=1), disc_store, tmp_path / "run")
    predictor = load(tmp_path / "run", device="cpu")
    store = open_store(disc_store.path)
    other = dataclasses.replace(store, frames=store.frames[:, :16])
    with pytest.raises(DataError, match="the run was trained on"):
        evaluate(predictor, other)
    with pytest.raises(DataError, match="no image in split"):
        evaluate(predictor, dataclasses.replace(store, samples=store.samples.assign(split="TRAIN")))


def test_a_gpu_is_timed_on_its_own_stream(monkeypatch):
    """The device that trains need not be the current one. With replacements for CUDA events and streams."""
    recorded = []
    event = SimpleNamespace(record=lambda stream=None: recorded.append(stream))
    monkeypatch.setattr(torch.cuda, "Event", lambda **_: event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: f"of {device}")
    with Stopwatch(torch.device("cuda:1")).measure("network"):
        pass
    assert recorded == ["of cuda:1", "of cuda:1"]
