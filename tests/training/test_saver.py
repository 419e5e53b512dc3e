from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace

import pytest
import torch

from echoseg.training import checkpoint, loop
from echoseg.training.config import Config
from echoseg.training.loop import train
from echoseg.training.saver import Saver, Snapshot

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32"}


def test_a_snapshot_keeps_the_values_of_its_moment():
    network = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    values = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "rest": [1, "a", None, (2.0,)]}
    snapshot = Snapshot(values)
    weight, momentum = network.weight.detach().clone(), optimizer.state[network.weight]["momentum_buffer"].clone()
    optimizer.step()
    copied = snapshot.on_cpu()
    assert torch.equal(copied["network"]["weight"], weight)
    assert not torch.equal(network.weight, weight)
    assert copied["network"]["weight"].stride() == network.weight.stride()
    assert torch.equal(copied["optimizer"]["state"][0]["momentum_buffer"], momentum)
    assert copied["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
    assert copied["rest"] == values["rest"]


def test_a_snapshot_of_a_gpu_is_copied_in_another_stream(monkeypatch):
    """With replacements for CUDA streams."""
    calls = []
    own = SimpleNamespace(record_event=lambda: "copied")
    other = SimpleNamespace(wait_event=lambda event: calls.append(f"waits until {event}"))

    @contextlib.contextmanager
    def stream(entered):
        assert entered is other
        calls.append("enters")
        yield

    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: True))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: own)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: other)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    values = {"a": torch.ones(3)}
    snapshot = Snapshot(values)
    values["a"].zero_()
    assert calls == []
    assert torch.equal(snapshot.on_cpu()["a"], torch.ones(3))
    assert calls == ["waits until copied", "enters"]


def test_a_snapshot_of_a_full_gpu_is_copied_to_the_cpu(monkeypatch):
    def fail(tensor):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "clone", fail)
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: True))
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: f"{len(tensor)} numbers on the CPU")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(record_event=lambda: None))
    assert Snapshot([torch.ones(3)])._values == ["3 numbers on the CPU"]


def test_tasks_run_one_after_the_other_while_others_go_on():
    may_end, order = threading.Event(), []

    def slow():
        may_end.wait(10)
        order.append("slow")

    with Saver() as saver:
        before = saver.saved
        saver.submit(slow)
        saver.check(1e9)
        assert order == []  # nobody waited
        assert saver.saved == before < saver.submitted
        may_end.set()
        saver.submit(lambda: order.append("next"))
        saver.wait()
        assert order == ["slow", "next"]
        assert saver.saved == saver.submitted


def test_a_task_is_waited_for_once_what_is_saved_is_too_old():
    done = []
    with Saver() as saver:
        saver.submit(lambda: done.append(1))
        saver.check(0)
        assert done == [1]
        saver.check(0)  # nothing runs


def test_leaving_waits_and_raises():
    def fail():
        raise OSError("full")

    def leave(task, error=None):
        with Saver() as saver:
            saver.submit(task)
            if error is not None:
                raise error

    with pytest.raises(OSError, match="full"):
        leave(fail)
    done = []
    with pytest.raises(KeyError):
        leave(lambda: done.append(1), KeyError())
    assert done == [1]


@pytest.mark.parametrize("on_epoch", [None, lambda event: None])
def test_a_failure_to_write_stops_the_training_at_the_next_step(disc_store, tmp_path, monkeypatch, on_epoch):
    steps, step = [], loop._Trainer._step

    def fail(*_):
        raise OSError(28, "No space left on device", "the file")

    def note(trainer, batch):
        steps.append(1)
        if len(steps) == 5:  # the first of the second epoch
            trainer.saver._task.exception(timeout=10)
        return step(trainer, batch)

    monkeypatch.setattr(checkpoint, "save_state", fail)
    monkeypatch.setattr(loop._Trainer, "_step", note)
    with pytest.raises(OSError, match="No space left") as error:
        train(Config(**TINY, epochs=3), disc_store, tmp_path / "run", on_epoch=on_epoch)
    assert error.value.filename == "the file"
    assert len(steps) == (5 if on_epoch is None else 4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("echoseg-saver")]


@pytest.mark.slow
def test_training_goes_on_while_the_state_is_written(disc_store, tmp_path, monkeypatch):
    """The state of the first epoch is only written when the second one has begun."""
    second_epoch, save_state, step, saved = threading.Event(), checkpoint.save_state, loop._Trainer._step, []

    def wait_and_save(run, state):
        if not saved:
            assert second_epoch.wait(10)
        saved.append(state["progress"]["epoch"])
        save_state(run, state)

    def note(trainer, batch):
        if trainer.progress.epoch == 1:
            second_epoch.set()
        return step(trainer, batch)

    train(Config(**TINY, epochs=3), disc_store, tmp_path / "plain")
    monkeypatch.setattr(checkpoint, "save_state", wait_and_save)
    monkeypatch.setattr(loop._Trainer, "_step", note)
    train(Config(**TINY, epochs=3), disc_store, tmp_path / "run")
    assert saved == [1, 2, 3]
    for name in (checkpoint.BEST, checkpoint.LAST):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_snapshot_of_a_gpu_keeps_the_values_of_its_moment():
    values = {"a": torch.arange(10_000_000, device="cuda"), "b": torch.ones(3)}
    snapshot = Snapshot(values)
    values["a"].zero_()
    copied = snapshot.on_cpu()
    assert torch.equal(copied["a"], torch.arange(10_000_000))
    assert copied["b"].device.type == "cpu"
