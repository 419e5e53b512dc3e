"""Devices, what a GPU changes in a training's settings, and Apple's GPU, whose tests are skipped without one."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from _settings import AUGMENTATION
from echoseg.datasets.store import open_store
from echoseg.errors import DataError
from echoseg.inference.predictor import load
from echoseg.models.unet import UNet
from echoseg.training import batch_size, checkpoint
from echoseg.training.batch_size import choose_batch_size, scale_learning_rate
from echoseg.training.batches import Batch, Batches
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.training.devices import choose_device, device_name, place, prediction_batch, sum_dtype
from echoseg.training.distributed import Ranks, ranks_of_torchrun
from echoseg.training.loop import train
from echoseg.training.optimization import faster_precision, make_loss
from echoseg.training.plan import make_plan
from echoseg.training.validation import Validation

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def tiny(**settings):
    return Config(**{**AUGMENTATION, **TINY, **settings})


def mps_works() -> bool:
    try:
        return bool(torch.zeros(1, device="mps").cpu() == 0)
    except (RuntimeError, AssertionError):
        return False


on_mps = pytest.mark.skipif(not mps_works(), reason="no GPU of Apple's")


@pytest.mark.parametrize("name", ["gpu", "mps:x", "meta", "cuda:99", *([] if mps_works() else ["mps"])])
def test_a_device_that_is_not_there_is_refused_in_one_line(name):
    with pytest.raises(DataError, match=rf"^device '{name}' cannot be used \(.*\); try --device cpu$"):
        choose_device(name)


def test_what_depends_on_the_kind_of_device():
    assert [prediction_batch(tiny(batch_size=size), CPU) for size in (8, None)] == [8, 16]
    assert [prediction_batch(tiny(batch_size=8), device) for device in (CUDA, MPS)] == [16, 16]
    assert [sum_dtype(device) for device in (CPU, CUDA, MPS)] == [torch.float64, torch.float64, torch.float32]
    assert faster_precision(MPS) == "float32"
    assert device_name(CPU)
    assert device_name(MPS).startswith("GPU")


def test_a_network_keeps_its_layout_except_on_apples_gpu(monkeypatch):
    network = place(UNet(1, width=4, depth=2), CPU)
    weight = network.down[1][0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, device=None, **options: seen.append(options) or module)
    seen: list[dict] = []
    place(network, MPS)
    assert seen == [{}, {"memory_format": torch.contiguous_format}]


@pytest.mark.slow
def test_the_steps_of_moving_between_devices(disc_store, tmp_path):
    moves_between("cpu", disc_store, tmp_path / "run")


@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_batches_of_another_gpu_are_made_on_the_cpu(disc_store, approach):
    """The device "meta" has no data and no kernels of ours, as Apple's GPU has no kernels of ours."""
    config = tiny(approach=approach)
    batches = Batches(disc_store, np.arange(20), checkpoint.build(config)[1], config, torch.device("meta"))
    for batch in batches.epoch(0):
        assert batch.frames.device.type == batch.targets.device.type == "meta"
        assert batch.contours.device.type == "cpu"


def test_several_processes_do_not_share_apples_gpu(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(DataError, match="train without torchrun"), ranks_of_torchrun("mps"):
        pass


# -- batch size


def gpu_of(monkeypatch, gigabytes):
    properties = SimpleNamespace(total_memory=gigabytes * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)


@pytest.mark.parametrize(
    ("images", "width", "gigabytes", "expected"),
    [
        (12_799, 16, 80, 16),  # 400 steps of 32 are 12,800 images
        (12_800, 16, 80, 32),
        (25_600, 16, 80, 64),
        (10**9, 16, 80, 64),
        (10**9, 16, 8, 32),
        (10**9, 64, 8, 16),
        (10**9, 512, 8, 16),
    ],
)
def test_a_gpu_gets_larger_batches_where_time_and_memory_allow(monkeypatch, images, width, gigabytes, expected):
    gpu_of(monkeypatch, gigabytes)
    assert choose_batch_size(images, (112, 112), width, 9, CUDA) == expected
    assert choose_batch_size(images, (112, 112), width, 9, CPU) == 16
    assert choose_batch_size(images, (112, 112), width, 9, MPS) == 16


def test_the_learning_rate_follows_by_the_square_root():
    assert [scale_learning_rate(3e-3, batch) for batch in (16, 32, 64)] == pytest.approx([3e-3, 4.2426e-3, 6e-3], 1e-4)


@pytest.mark.parametrize("settings", [{}, {"network": "resunet", "attention": True}, {"landmarks": 42, "depth": 3}])
def test_a_training_saves_no_more_memory_than_is_reckoned(settings):
    """What the backward pass needs is counted; a fourth of the reckoned memory is meant for it."""
    config = Config(approach="landmark", scheme="arc", size=(64, 64), **settings)
    model, codec = checkpoint.build(config)
    loss_of = make_loss(config, config.size, CPU)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, int] = {}

    def note(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    frames, targets = torch.rand(2, 64, 64) * 255, torch.rand(2, codec.channels, 64, 64)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss_of(model(frames), Batch(frames, targets, None, torch.empty(0)))
    of_image = sum(size for pointer, size in saved.items() if pointer not in weights) / 2
    assert 0.6 < of_image / ((110 * config.width + 20 * codec.channels) * 64 * 64) < 1


def test_an_open_batch_size_is_chosen_once(disc_store, tmp_path, monkeypatch):
    config = tiny(batch_size=None, epochs=2, approach="mask")
    assert train(config, disc_store, tmp_path / "run").batch_size == 16
    assert load_config(tmp_path / "run" / "config.yaml").batch_size == 16
    gpu_of(monkeypatch, 80)
    cuda = torch.device("cuda")
    long = dataclasses.replace(config, epochs=2000)
    chosen = make_plan(long, disc_store, cuda).config
    assert (chosen.batch_size, chosen.learning_rate) == (64, 2 * 3e-3)
    assert make_plan(chosen, disc_store, cuda).config == chosen  # as when a run is resumed
    given = dataclasses.replace(long, batch_size=24)
    assert make_plan(given, disc_store, cuda).config.learning_rate == 3e-3
    assert make_plan(long, disc_store, cuda, Ranks(0, 2)).config.batch_size == batch_size.BATCH


def test_open_numbers_may_be_called_auto(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump({"batch_size": "auto", "epochs": "auto"}))
    config = load_config(path, max_minutes="auto")
    assert config.batch_size is config.epochs is config.max_minutes is None
    with pytest.raises(DataError, match="seed is 'auto', expected int"):
        load_config(None, seed="auto")
    assert load_config(None, structure="auto").structure == "auto"  # a name


# -- CUDA


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("approach", ["mask", "landmark"])
def test_a_cuda_device_trains_validates_and_predicts_as_the_cpu_does(disc_store, tmp_path, approach):
    config = tiny(approach=approach, epochs=3, landmarks=7, radius=5.0)
    logs = []
    for device in ("cpu", "cuda"):
        train(dataclasses.replace(config, device=device), disc_store, tmp_path / device)
        logs.append(np.genfromtxt(tmp_path / device / "log.csv", delimiter=",", names=True))
    for column in ("train_loss", "val_loss"):
        np.testing.assert_allclose(logs[0][column], logs[1][column], rtol=0.02)
    frames = np.asarray(disc_store.frames[:20])
    one, other = (load(tmp_path / "cuda", device=device)(frames) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-3)
    assert (one.masks != other.masks).mean() < 0.001


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_training_moves_between_cpu_and_cuda(disc_store, tmp_path):
    moves_between("cuda", disc_store, tmp_path / "run")


def moves_between(device, store, run):
    """Interrupt a training on the device, go on there, and again on the CPU."""

    def interrupt(event):
        if event.step in (6, 9):
            raise KeyboardInterrupt

    config = tiny(epochs=3, device=device, checkpoint_minutes=1e-9, dropout=0.1, ema=0.5)
    with pytest.raises(KeyboardInterrupt):
        train(config, store, run, on_step=interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(load_config(run / "config.yaml"), store, run, resume=True, on_step=interrupt)
    train(load_config(run / "config.yaml", device="cpu"), store, run, resume=True)
    assert checkpoint.load_state(run)[0]["progress"]["epoch"] == 3


# -- Apple's GPU: these have run nowhere yet


@on_mps
@pytest.mark.parametrize("approach", ["mask", "landmark"])
@pytest.mark.parametrize("settings", [{}, {"network": "resunet", "attention": True, "ema": 0.9, "dropout": 0.1}])
def test_apples_gpu_trains_and_predicts(disc_store, tmp_path, approach, settings):
    config = tiny(approach=approach, epochs=3, landmarks=7, radius=5.0, **settings)
    for device in ("cpu", "mps"):
        train(dataclasses.replace(config, device=device), disc_store, tmp_path / device)
    losses = [
        np.genfromtxt(tmp_path / device / "log.csv", delimiter=",", names=True)["train_loss"]
        for device in ("cpu", "mps")
    ]
    if not settings:  # dropout draws other numbers there
        np.testing.assert_allclose(*losses, rtol=0.02)
    frames = np.asarray(disc_store.frames[:5])
    one, other = (load(tmp_path / "mps", device=device)(frames) for device in ("cpu", "mps"))
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-3)
    assert (one.masks != other.masks).mean() < 0.01


@on_mps
def test_a_training_moves_between_cpu_and_apples_gpu(disc_store, tmp_path):
    moves_between("mps", disc_store, tmp_path / "run")


@on_mps
def test_apples_gpu_validates_as_the_cpu_does(disc_store):
    config = tiny(approach="landmark")
    model, codec = checkpoint.build(config)
    scores = []
    for device in (CPU, MPS):
        loss_of = make_loss(config, disc_store.size, device)
        validation = Validation(codec, loss_of, open_store(disc_store.path), np.arange(20), config, device)
        scores.append(validation.score(place(model, device)))
    np.testing.assert_allclose(*scores, rtol=1e-3)
