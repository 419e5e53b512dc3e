"""The demonstration: what it leaves and prints, and what it opens."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

import echoseg
from _commands import failure, files
from echoseg.cli import main, review
from echoseg.training import checkpoint
from echoseg.training.config import Config

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _shipped(tmp_path, monkeypatch):
    """A small network with random weights in the place of the one that ships."""
    run = tmp_path / "run"
    run.mkdir()
    config = Config(approach="landmark", landmarks=5, scheme="anatomical", size=(32, 32), width=2, depth=2)
    config.save(run / checkpoint.CONFIG)
    torch.manual_seed(0)
    checkpoint.save_weights(run / checkpoint.BEST, checkpoint.build(config)[0])
    predict_files = echoseg.predict_files

    def predict(shipped, *arguments, **settings):
        assert shipped is None
        return predict_files(run, *arguments, **settings)

    monkeypatch.setattr("echoseg.file_prediction.predict_files", predict)
    monkeypatch.chdir(tmp_path)


def test_it_writes_the_video_and_its_prediction(capsys):
    assert main(["demo", "--no-browser"]) == 0
    printed = capsys.readouterr().out
    assert "true EF of the synthetic heart: " in printed
    film = Path("echoseg-demo/predicted/PHANTOM000000/overlay.avi")
    assert f"film: {film}\n" in printed
    assert film.is_file()
    left = files(Path("echoseg-demo"))
    assert {"phantom/Videos/PHANTOM000000.avi", "phantom/FileList.csv", "predicted/results.csv"} <= left
    assert "exists already" in failure(capsys, "demo", "--no-browser")


def test_it_opens_the_review_page_of_the_video(monkeypatch):
    opened = []
    monkeypatch.setattr(review, "run", opened.append)
    assert main(["demo", "--out", "new"]) == 0
    (arguments,) = opened
    paths = [path for path in (arguments.run_folder, *arguments.inputs) if path is not None]
    assert paths == [Path("new/phantom/Videos/PHANTOM000000.avi")]
    assert paths[0].is_file()
    assert arguments.corrections == Path("new/corrections")
    assert not arguments.no_browser


def test_nothing_is_left_if_the_video_cannot_be_segmented(monkeypatch, capsys):
    predict_files = functools.partial(echoseg.file_prediction.predict_files)

    def fail(*arguments, **settings):
        return predict_files(*arguments, **settings).assign(error="out of memory")

    monkeypatch.setattr("echoseg.file_prediction.predict_files", fail)
    assert "PHANTOM000000.avi: out of memory" in failure(capsys, "demo", "--no-browser")
    assert not Path("echoseg-demo").exists()
