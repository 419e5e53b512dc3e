"""What a training prints: lines where there is no terminal, JSON for machines, a bar on a terminal."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import sys

import pytest

from echoseg.training.config import Config
from echoseg.training.logs import LOG_KINDS, TrainingEvent, configure_logging, logger
from echoseg.training.loop import train

TINY = {"size": (32, 32), "width": 4, "depth": 2, "batch_size": 8, "device": "cpu", "precision": "float32", "epochs": 2}


def catch_stderr(monkeypatch, *, terminal=False):
    """A stream in place of stderr; in a test's body, for pytest sets stderr again after the fixtures."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("kind", LOG_KINDS)
def test_what_each_kind_prints(disc_store, tmp_path, monkeypatch, kind, terminal):
    stderr = catch_stderr(monkeypatch, terminal=terminal)
    configure_logging("text")
    configure_logging(kind)  # replaces the one before
    train(Config(approach="mask", **TINY), disc_store, tmp_path / "run")
    printed = stderr.getvalue()
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    if kind == "json":
        lines = [line for line in map(json.loads, printed.splitlines()) if "epoch" in line]
        assert [(line["epoch"], line["step"], line["device"], line["level"]) for line in lines] == [
            (1, 4, "cpu", "info"),
            (2, 8, "cpu", "info"),
        ]
        for line, row in zip(lines, rows, strict=True):
            assert line["loss"] == pytest.approx(float(row["train_loss"]), rel=1e-5)
            assert line["dice"] == pytest.approx(float(row["train_dice"]), rel=1e-5)
            assert line["val_loss"] == pytest.approx(float(row["val_loss"]), rel=1e-5)
            assert line["val_dice"] == pytest.approx(float(row["val_dice"]), rel=1e-5)
            assert line["learning_rate"] == pytest.approx(float(row["learning_rate"]), rel=1e-5)
        assert lines[0]["seconds_left"] > lines[1]["seconds_left"] == 0
    elif kind == "text" or (kind == "auto" and not terminal):
        pattern = r"epoch 1/2 on cpu: loss (\d\.\d+), training Dice 0\.\d+, validation Dice (0\.\d+), \d+ s left"
        found = re.fullmatch(pattern, printed.splitlines()[0])
        assert float(found[1]) == pytest.approx(float(rows[0]["train_loss"]), abs=1e-4)
        assert float(found[2]) == pytest.approx(float(rows[0]["val_dice"]), abs=1e-4)
        assert len(printed.splitlines()) == 2
    elif kind == "auto":
        assert "8/8" in printed  # of the progress bar
        assert "epoch" not in printed
    else:
        assert printed == ""


def test_warnings_name_the_program(monkeypatch):
    stderr = catch_stderr(monkeypatch)
    configure_logging("auto")
    logger.warning("%s is damaged", "a file")
    assert stderr.getvalue() == "echoseg: a file is damaged\n"


@pytest.mark.slow
def test_a_library_leaves_logging_to_its_user(disc_store, tmp_path, monkeypatch, caplog):
    stderr = catch_stderr(monkeypatch, terminal=True)
    caplog.set_level(logging.INFO, logger="echoseg")
    train(Config(approach="landmark", validation="none", **TINY), disc_store, tmp_path / "run")
    assert stderr.getvalue() == ""
    events = [record.event for record in caplog.records if hasattr(record, "event")]
    assert [event.epoch for event in events] == [1, 2]
    pattern = r"epoch 2/2 on cpu: loss \d+\.\d+, training Dice 0\.\d+, 0 s left"  # no validation
    assert re.fullmatch(pattern, caplog.messages[-1])


def test_json_has_no_numbers_that_are_not_finite(monkeypatch):
    stderr = catch_stderr(monkeypatch)
    configure_logging("json")
    event = TrainingEvent(1, 2, 3, 4, "cpu", 0.1, float("nan"), None, None, None, float("inf"))
    logger.info("%s", event, extra={"event": event})
    line = json.loads(stderr.getvalue(), parse_constant=lambda name: pytest.fail(name))
    assert line["loss"] is line["seconds_left"] is line["dice"] is None


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="known: auto, text, json, none"):
        configure_logging("xml")
