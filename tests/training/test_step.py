"""The recorded step. A stand-in for CUDA graphs covers it without a GPU; tests marked `cuda` use real ones."""

from __future__ import annotations

import contextlib
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode

from _settings import AUGMENTATION
from echoseg.training import checkpoint, loop, optimization, step
from echoseg.training.batches import Batch, Batches
from echoseg.training.config import LOSSES, Config
from echoseg.training.config_file import load_config
from echoseg.training.custom import Custom
from echoseg.training.distributed import Ranks
from echoseg.training.loop import train
from echoseg.training.optimization import MovingAverage, load_optimizer, make_loss
from echoseg.training.step import CudaRecorder, Learned, TrainStep, make_recorder

CPU = torch.device("cpu")
TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 6, "device": "cpu", "precision": "float32"}
TINY |= {"learning_rate": 3e-3}
SETTINGS = [
    {"approach": "mask"},
    {"approach": "landmark", "coordinate_weight": 0.1, "precision": "bfloat16"},
    {"approach": "landmark", "ema": 0.9, "clip": 1.0, "dropout": 0.3},
    {"approach": "mask", "optimizer": "sgd", "learning_rate": 0.01, "norm": "group", "ema": 0.5},
]


def tiny(**settings):
    return Config(**{**AUGMENTATION, **TINY, **settings})


def gpu_optimizer(model, config):
    """The optimizer of a GPU: one kernel, with the learning rate in a tensor. It exists for the CPU too."""
    rate = torch.tensor(config.learning_rate)
    if config.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, fused=True)
    return torch.optim.AdamW(model.parameters(), rate, weight_decay=config.weight_decay, fused=True)


class StandIn:
    """Does with a function what a CUDA graph does: recording has no effect, and a replay fills the same tensors."""

    def __init__(self, model, optimizer, average):
        self.model, self.optimizer, self.average = model, optimizer, average
        self.prepared_steps = self.replays = 0

    @contextlib.contextmanager
    def prepared(self):
        self.prepared_steps += 1
        yield

    def record(self, function):
        modules = [module for module in (self.model, self.average) if module is not None]
        tensors = [tensor for module in modules for tensor in module.state_dict().values()]
        tensors += [value for state in self.optimizer.state.values() for value in state.values()]
        before, random = [tensor.clone() for tensor in tensors], torch.get_rng_state()
        self.function, self.results = function, function()
        for tensor, value in zip(tensors, before, strict=True):
            tensor.data.copy_(value)
        torch.set_rng_state(random)
        for result in self.results:
            result.fill_(torch.nan)
        return self.results

    def replay(self):
        self.replays += 1
        for result, value in zip(self.results, self.function(), strict=True):
            result.copy_(value)


@pytest.fixture
def stand_ins(monkeypatch):
    """Trainings use the optimizer of a GPU and record their steps; yields the recorders."""
    made = []

    class RecordedStep(TrainStep):
        def __init__(self, network, model, optimizer, average, *others, **options):
            made.append(StandIn(model, optimizer, average))
            super().__init__(network, model, optimizer, average, *others, **{**options, "recorder": made[-1]})

    monkeypatch.setattr(loop, "make_optimizer", gpu_optimizer)
    monkeypatch.setattr(loop, "TrainStep", RecordedStep)
    return made


def plainly(monkeypatch, *arguments, **options):
    """Train with the optimizer of a GPU, without recording."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "make_optimizer", gpu_optimizer)
        patch.setattr(loop, "TrainStep", TrainStep)
        train(*arguments, **options)


def assert_equal_runs(one, other):
    for name in ("model.safetensors", "last.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    logs = [[line.split(",")[:6] for line in (run / "log.csv").read_text().splitlines()] for run in (one, other)]
    assert logs[0] == logs[1]


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_recorded_training_equals_a_plain_one(disc_store, tmp_path, monkeypatch, stand_ins, settings):
    """Of 32 images, five batches have 6 and the last one 2."""
    config = tiny(epochs=3, **settings)
    train(config, disc_store, tmp_path / "recorded")
    assert [(one.prepared_steps, one.replays) for one in stand_ins] == [(3, 3 * 5 - 3)]
    plainly(monkeypatch, config, disc_store, tmp_path / "plain")
    assert_equal_runs(tmp_path / "recorded", tmp_path / "plain")


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 8])
def test_a_recorded_training_is_resumed(disc_store, tmp_path, monkeypatch, stand_ins, stop):
    config = tiny(epochs=3, ema=0.9, dropout=0.2, clip=1.0)
    run, steps = tmp_path / "cut", []

    def interrupt(event):
        steps.append(event)
        if len(steps) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dataclasses.replace(config, checkpoint_minutes=1e-9), disc_store, run, on_step=interrupt)
    train(load_config(run / "config.yaml"), disc_store, run, resume=True)
    plainly(monkeypatch, config, disc_store, tmp_path / "plain")
    assert [one.prepared_steps for one in stand_ins] == [min(stop, 3), 3]
    weights = [checkpoint.load_run(folder)[1].state_dict() for folder in (run, tmp_path / "plain")]
    assert all(map(torch.equal, weights[0].values(), weights[1].values()))


@pytest.mark.slow
def test_a_step_that_cannot_be_recorded_is_run_as_it_is(disc_store, tmp_path, monkeypatch, stand_ins, caplog):
    def refuse(stand_in, function):
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore lines")

    monkeypatch.setattr(StandIn, "record", refuse)
    config = tiny(epochs=2)
    train(config, disc_store, tmp_path / "refused")
    (message,) = caplog.messages
    assert "goes on without a CUDA graph" in message
    assert message.endswith("(CUDA error: operation not permitted when stream is capturing)")
    plainly(monkeypatch, config, disc_store, tmp_path / "plain")
    assert_equal_runs(tmp_path / "refused", tmp_path / "plain")


class NoReading(TorchDispatchMode):
    """Refuses what a CUDA graph cannot contain: values that the host reads, and tensors that it makes from values."""

    REFUSED = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "is_nonzero",
        "equal",
        "lift_fresh",
        "unique",
        "bincount",
    )

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert not name.startswith(self.REFUSED), name
        if name.startswith("index"):  # by a mask: the size of the result has to be read
            assert all(index is None or index.dtype != torch.bool for index in args[1]), name
        return function(*args, **(kwargs or {}))


def made_step(config, store, approach_optimizer=gpu_optimizer):
    model, codec = checkpoint.build(config)
    average = MovingAverage(model, config.ema) if config.ema else None
    loss_of = make_loss(config, store.size, CPU)
    made = TrainStep(model, model, approach_optimizer(model, config), average, loss_of, config)
    batch = next(Batches(store, np.arange(20), codec, config, CPU).epoch(0))
    return made, batch


@pytest.mark.parametrize(
    "settings",
    [
        *SETTINGS,
        *({"approach": approach, "loss": loss} for approach, losses in LOSSES.items() for loss in losses),
        {"approach": "mask", "network": "resunet", "attention": True, "region_weight": 3.0, "region": (0, 0, 0.5, 1)},
        {"approach": "landmark", "norm": "none", "skips": False, "bottleneck": False},
    ],
)
def test_nothing_in_a_step_reads_a_value(disc_store, settings):
    made, batch = made_step(tiny(**settings), disc_store)
    made.run(batch, 1e-3)
    with NoReading():
        made._learn(batch, search=False)


def test_the_check_for_reading_finds_it(disc_store):
    made, batch = made_step(tiny(approach="mask"), disc_store)
    for loss_of in (
        lambda logits, batch: logits.mean() * (1 if logits.mean() > 0 else 2),
        lambda logits, batch: (logits.mean() * torch.tensor([1.0])).sum(),
        lambda logits, batch: logits[batch.targets > 0].mean(),
    ):
        made._loss_of = loss_of
        with pytest.raises(AssertionError), NoReading():
            made._learn(batch, search=False)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_the_optimizer_of_a_gpu_does_what_that_of_the_cpu_does(disc_store, optimizer):
    """With the same rule; the orders of their operations differ, so that bits do."""
    config = tiny(approach="mask", optimizer=optimizer, weight_decay=0.0 if optimizer != "adamw" else 0.01)
    weights = []
    for make in (gpu_optimizer, optimization.make_optimizer):
        torch.manual_seed(0)
        made, batch = made_step(config, disc_store, make)
        for rate in (1e-3, 1e-3, 2e-3):
            made.run(batch, rate)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in made._model.parameters()]))
    torch.testing.assert_close(*weights, atol=2e-5, rtol=1e-3)


def test_an_optimizers_state_moves_between_devices():
    """Its options stay those of the device."""
    network = torch.nn.Linear(2, 3)
    network(torch.ones(1, 2)).sum().backward()
    of_cpu, of_gpu = torch.optim.AdamW(network.parameters(), 0.1), gpu_optimizer(network, tiny())
    for one, other in ((of_cpu, of_gpu), (of_gpu, of_cpu)):
        one.step()
        saved = one.state_dict()
        options = [(group["fused"], type(group["lr"])) for group in other.param_groups]
        load_optimizer(other, saved)
        assert [(group["fused"], type(group["lr"])) for group in other.param_groups] == options
        loaded = other.state_dict()["state"][0]
        assert loaded["step"] == saved["state"][0]["step"]
        assert torch.equal(loaded["exp_avg"], saved["state"][0]["exp_avg"])
        other.step()


def test_the_moving_average_is_that_of_torch():
    networks = [torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)) for _ in range(4)]
    for number, network in enumerate(networks):
        network[1].running_mean.fill_(number)
        network[1].num_batches_tracked.fill_(10 * number)
    ours = MovingAverage(networks[0], 0.8)
    theirs = AveragedModel(networks[0], multi_avg_fn=get_ema_multi_avg_fn(0.8), use_buffers=True)
    for number, network in enumerate(networks[1:]):
        ours.update_parameters(network)
        theirs.update_parameters(network)
        for (name, one), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(one, other), name
        if number == 1:  # resumed
            resumed = MovingAverage(networks[0], 0.8)
            resumed.load_state_dict(ours.state_dict())
            ours = resumed


def test_who_records(monkeypatch):
    monkeypatch.setattr(step, "CudaRecorder", lambda device: f"records on {device}")
    cuda, alone, own = torch.device("cuda:1"), Ranks(), Custom(augment=len, on_step=print)
    assert make_recorder(tiny(), cuda, alone, own) == "records on cuda:1"
    assert make_recorder(tiny(), CPU, alone, own) is None
    assert make_recorder(tiny(cuda_graph=False), cuda, alone, own) is None
    assert make_recorder(tiny(compile=True), cuda, alone, own) is None
    assert make_recorder(tiny(), cuda, Ranks(0, 2), own) is None
    assert make_recorder(tiny(), cuda, alone, Custom(network=len)) is None
    assert make_recorder(tiny(), cuda, alone, Custom(loss=len)) is None


class FakeCuda:
    """Replacements for the parts of torch.cuda that a recorder calls."""

    def __init__(self, monkeypatch, *, free=100, peak=40, fails=False):
        self.calls = calls = []
        self.fails = fails

        @contextlib.contextmanager
        def graph(graph, pool, stream, capture_error_mode):
            calls.append(("capture", capture_error_mode))
            yield

        @contextlib.contextmanager
        def noted(name, value):
            calls.append((name, value))
            yield

        main = SimpleNamespace(wait_stream=lambda stream: calls.append("main waits"))
        side = SimpleNamespace(wait_stream=lambda stream: calls.append("side waits"))
        generator = SimpleNamespace(
            set_state=lambda state: calls.append(("fresh", state)), graphsafe_get_state=lambda: "fresh state"
        )
        default = SimpleNamespace(graphsafe_set_state=lambda state: calls.append(("default", state)))
        replaced = {
            "Stream": lambda device: side,
            "CUDAGraph": lambda: SimpleNamespace(replay=lambda: calls.append("replay")),
            "reset_peak_memory_stats": lambda device: None,
            "current_stream": lambda device: main,
            "stream": lambda stream: noted("stream", "side" if stream is side else "main"),
            "device": lambda device: noted("device", str(device)),
            "graph": graph,
            "mem_get_info": lambda device: (free, 1000),
            "memory_reserved": lambda device: 10,
            "memory_allocated": lambda device: 10,
            "max_memory_allocated": lambda device: peak,
            "get_rng_state": lambda device: "random",
            "current_device": lambda: 0,
            "set_stream": lambda stream: calls.append("main again" if stream is main else "side"),
            "graph_pool_handle": lambda: "pool",
            "default_generators": [default],
        }
        for name, value in replaced.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch, "Generator", lambda device: generator)


RESULTS = Learned(torch.zeros(2), torch.zeros(1))


def test_a_cuda_recorder(monkeypatch):
    cuda = FakeCuda(monkeypatch)
    recorder = CudaRecorder(torch.device("cuda"))
    with recorder.prepared():
        cuda.calls.append("step")
    assert cuda.calls == ["side waits", ("stream", "side"), "step", "main waits"]
    cuda.calls.clear()
    assert recorder.record(lambda: RESULTS) is RESULTS
    recorder.replay()
    assert cuda.calls == [("device", "cuda"), ("capture", "thread_local"), "replay"]


def test_a_cuda_recorder_that_fails_leaves_nothing_behind(monkeypatch):
    def fail():
        raise RuntimeError("synchronizes")

    cuda = FakeCuda(monkeypatch)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda *given: cuda.calls.append(given))
    with pytest.raises(RuntimeError, match="synchronizes"):
        CudaRecorder(torch.device("cuda")).record(fail)
    assert cuda.calls[2:] == ["main again", (0, "pool"), ("fresh", "random"), ("default", "fresh state")]


@pytest.mark.parametrize(("peak", "fits"), [(60, True), (61, False)])
def test_a_cuda_recorder_needs_memory(monkeypatch, peak, fits):
    """100 are free and 10 reserved; 10 stay, and a step takes peak - 10 more, as does what runs beside the graph."""
    FakeCuda(monkeypatch, peak=peak)
    recorder = CudaRecorder(torch.device("cuda"))
    if fits:
        recorder.record(lambda: RESULTS)
    else:
        with pytest.raises(RuntimeError, match="too little memory"):
            recorder.record(lambda: RESULTS)


@pytest.mark.parametrize(
    ("deterministic", "steps", "expected"), [(False, 6, True), (False, 7, False), (True, 6, False)]
)
def test_cudnn_searches_in_long_trainings_and_for_full_batches(
    disc_store, tmp_path, monkeypatch, deterministic, steps, expected
):
    monkeypatch.setattr(loop, "SEARCHED_STEPS", steps)
    searches, learn = [], TrainStep._learn

    def note(made, batch, *, search):
        searches.append((len(batch.frames), search))
        return learn(made, batch, search=search)

    monkeypatch.setattr(TrainStep, "_learn", note)
    train(tiny(approach="mask", epochs=1, deterministic=deterministic), disc_store, tmp_path / "run")
    assert searches == [(6, expected)] * 5 + [(2, False)]


def test_the_search_is_on_inside_only(disc_store):
    made, batch = made_step(tiny(approach="mask"), disc_store)
    seen, loss_of = [], made._loss_of

    def note(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        seen.append(torch.backends.cudnn.benchmark)
        return loss_of(logits, batch)

    made._loss_of, before = note, torch.backends.cudnn.benchmark
    made._learn(batch, search=True)
    made._learn(batch, search=False)
    assert seen == [True, False]
    assert torch.backends.cudnn.benchmark == before


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("settings", SETTINGS)
def test_a_cuda_graph_gives_the_same_bits(disc_store, tmp_path, monkeypatch, caplog, settings):
    replays, replay = [], CudaRecorder.replay

    def note(recorder):
        replays.append(1)
        replay(recorder)

    monkeypatch.setattr(CudaRecorder, "replay", note)
    config = tiny(epochs=3, **{**settings, "device": "cuda", "deterministic": True})
    for graph in (True, False):
        train(dataclasses.replace(config, cuda_graph=graph), disc_store, tmp_path / str(graph))
    assert not caplog.messages
    assert len(replays) == 3 * 5 - 3
    weights = [checkpoint.load_run(tmp_path / str(graph))[1].state_dict() for graph in (True, False)]
    assert all(map(torch.equal, weights[0].values(), weights[1].values()))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_failure_costs_the_graph_only(disc_store, tmp_path, monkeypatch, caplog):
    """Dropout after it needs the random numbers that the failure leaves in disorder."""

    def reading_loss(*arguments):
        loss_of = make_loss(*arguments)

        def loss(logits, batch):
            value = loss_of(logits, batch)
            return value if value.item() > 0 else -value

        return loss

    monkeypatch.setattr(loop, "make_loss", reading_loss)
    config = tiny(epochs=2, device="cuda", deterministic=True, dropout=0.3, approach="mask")
    for graph in (True, False):
        train(dataclasses.replace(config, cuda_graph=graph), disc_store, tmp_path / str(graph))
    assert len(caplog.messages) == 1
    weights = [checkpoint.load_run(tmp_path / str(graph))[1].state_dict() for graph in (True, False)]
    assert all(map(torch.equal, weights[0].values(), weights[1].values()))
