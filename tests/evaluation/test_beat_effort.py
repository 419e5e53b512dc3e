"""The simulated correction of whole cines, with and without carrying corrections to the other frames."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import echoseg
from echoseg.cli import main
from echoseg.datasets.echonet import read_echonet
from echoseg.errors import DataError
from echoseg.evaluation.beat_effort import beat_effort
from echoseg.models.weights import weights_folder
from echoseg.phantom import write_phantom
from echoseg.training.task_settings import APPROACHES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("exact") / "data", videos=2, seed=5, exact=True)


@pytest.fixture(scope="module")
def recordings(folder):
    return read_echonet(folder).recordings[1:]


@pytest.mark.parametrize("approach", APPROACHES)
def test_carrying_needs_fewer_steps_for_the_same_dice(approach, recordings):
    effort = beat_effort(echoseg.load(approach=approach, device="cpu"), recordings).set_index("carried")
    assert effort["reached"].all()
    assert (effort["dice"] >= 0.95).all()
    assert effort["frames"].tolist() == [60, 60]
    assert effort["corrected"][False] > 10
    assert effort["steps"][True] < effort["steps"][False] / 2
    assert effort["path_px"][True] < effort["path_px"][False]
    assert np.isfinite(effort["seconds"][True])


def test_a_cine_that_is_good_enough_needs_no_step(recordings):
    effort = beat_effort(echoseg.load(device="cpu"), recordings, goal=0.5)
    assert (effort[["corrected", "steps", "path_px"]] == 0).all(axis=None)


def test_cines_with_few_traced_frames_are_refused(recordings):
    few = [dataclasses.replace(recordings[0], tracings=recordings[0].tracings[:2])]
    with pytest.raises(DataError, match="no video has 5 traced frames or more"):
        beat_effort(echoseg.load(device="cpu"), few)
    slices = [dataclasses.replace(recordings[0], thickness=8.0)]
    with pytest.raises(DataError, match="no video has 5 traced frames or more"):
        beat_effort(echoseg.load(device="cpu"), slices)


def test_tracings_beyond_the_end_of_the_file_are_left_out(recordings):
    last = recordings[0].tracings[-1]
    beyond = dataclasses.replace(last, frame=last.frame + 100)
    longer = [dataclasses.replace(recordings[0], tracings=(*recordings[0].tracings, beyond))]
    assert beat_effort(echoseg.load(device="cpu"), longer, goal=0.5)["frames"].tolist() == [60, 60]


def test_the_command_prints_both_ways(folder, tmp_path, capsys):
    out = tmp_path / "effort.csv"
    run = str(weights_folder("mask"))
    arguments = ["effort", run, "--data", str(folder), "--split", "all", "--propagate", "--out", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "frame by frame" in printed
    assert "carried to the other frames" in printed
    assert len(out.read_text().splitlines()) == 5
    with pytest.raises(SystemExit):
        main(["effort", run, "--propagate", "--radius", "3", "4"])
