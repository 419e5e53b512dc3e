"""What was guessed in reading a file is on the page."""

from __future__ import annotations

import dataclasses

import nibabel
import numpy as np
import pytest

from _folders import write_video
from _reviewing import FakePredictor
from echoseg.io.reading import read_clip
from echoseg.review import clips as clips_module
from echoseg.review.clips import Clips
from echoseg.review.sources import find_review_clips


def facts_of(path):
    return Clips(FakePredictor("landmark"), find_review_clips([path], None)[0]).open(0).facts


@pytest.mark.slow
def test_what_was_guessed_is_sent_to_the_page(tmp_path):
    path = tmp_path / "a.nii"
    image = nibabel.Nifti1Image(np.zeros((48, 40, 6), np.uint8), None)
    image.header.set_zooms((0.5, 0.5, 1))
    nibabel.save(image, path)
    note = read_clip(path).note
    assert "axis 3 (6) is taken for" in note
    assert facts_of(path)["reading_note"] == note


def test_frames_that_the_header_declares_are_sent_to_the_page(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.avi")
    assert facts_of(path)["reading_note"] == ""
    read = clips_module.read_source
    changed = {"declared": 200, "note": "frames turned"}
    monkeypatch.setattr(clips_module, "read_source", lambda source: dataclasses.replace(read(source), **changed))
    assert facts_of(path)["reading_note"] == "the header declares 200 frames; frames turned"
