"""The distance of images from those of a training: statistics against slow definitions, and what is flagged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from _folders import SUNNYBROOK
from echoseg.errors import DataError
from echoseg.geometry.crop import Box, Crop
from echoseg.io.reading import read_clip
from echoseg.metrics.image_domain import fit_image_domain, image_statistics, load_image_domain
from echoseg.phantom.patient import Patient

uint8_frames = hnp.arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(16, 33), st.integers(16, 33)))


def slow_statistics(frame):
    grey = frame.astype(float)
    normal = (grey - grey.mean()) / (grey.std() + 1)
    height, width = (side // 4 for side in frame.shape)
    blocks = [normal[height * i : height * (i + 1), width * j : width * (j + 1)] for i in range(4) for j in range(4)]
    values = [block.mean() for block in blocks] + [np.log(block.std() + 0.05) for block in blocks]
    for lag in (1, 2, 4, 8):
        values.append((normal[:, lag:] * normal[:, :-lag]).mean())
        values.append((normal[lag:] * normal[:-lag]).mean())
    for level in (0.05, 0.25, 0.5, 0.75, 0.9, 0.99):
        smallest = next(grey_level for grey_level in range(256) if (frame <= grey_level).mean() >= level)
        values.append((smallest - grey.mean()) / (grey.std() + 1))
    return [*values, grey.mean() / 255, (grey.std() + 1) / 255, (frame < 8).mean()]


@settings(max_examples=30)
@given(uint8_frames)
def test_statistics_equal_their_definitions(frames):
    np.testing.assert_allclose(image_statistics(frames), [slow_statistics(frame) for frame in frames], atol=2e-3)


def test_many_frames_give_what_each_gives():
    frames = np.random.default_rng(0).integers(0, 256, (300, 16, 20), dtype=np.uint8)
    np.testing.assert_allclose(image_statistics(frames)[270], image_statistics(frames[270:271])[0], atol=1e-5)
    assert image_statistics(frames[:0]).shape == (0, 49)


@pytest.fixture(scope="module")
def phantoms():
    patients = [Patient(41, i) for i in range(30)]
    return np.stack([patient.frame(frame) for patient in patients for frame in (patient.ed, patient.es)])


@pytest.fixture(scope="module")
def domain(phantoms):
    return fit_image_domain(phantoms, np.repeat(np.arange(30), 2).astype(str))


@pytest.mark.slow
def test_other_phantoms_are_near_and_other_images_are_far(domain, phantoms):
    others = np.stack([Patient(42, i).frame(0) for i in range(10)])
    assert (domain.distances(others) > 1).mean() <= 0.1
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, others.shape, dtype=np.uint8)
    assert (domain.distances(noise) > 2).all()
    for unlike in (255 - others, np.zeros_like(others)):
        assert (domain.distances(unlike) > 1).all()


@pytest.mark.slow
@pytest.mark.skipif(not SUNNYBROOK.is_dir(), reason="the shared data set is missing")
def test_mri_is_far_from_phantoms(domain):
    stacks = [read_clip(path).frames for path in sorted((SUNNYBROOK / "Videos").iterdir())]
    resized = [Crop(Box(0, 0, *frames.shape[1:]), (112, 112)).frames(frames) for frames in stacks]
    assert all(np.median(domain.distances(frames)) > 1 for frames in resized)


@pytest.mark.slow
def test_the_limit_is_that_of_held_out_patients(domain, phantoms):
    distances = domain.distances(phantoms)
    assert (distances > 1).mean() <= 0.01, "training images are nearer than held-out ones"
    assert fit_image_domain(phantoms[:2], ["a", "a"]) is None
    assert fit_image_domain(phantoms[:0], []) is None
    assert np.isfinite(fit_image_domain(phantoms[:4], ["a", "a", "b", "b"]).distances(phantoms)).all()


@pytest.mark.slow
def test_the_description_is_saved_and_damage_is_found(domain, phantoms, tmp_path):
    path = tmp_path / "image_domain.json"
    domain.save(path)
    np.testing.assert_array_equal(load_image_domain(path).distances(phantoms), domain.distances(phantoms))
    text = path.read_text()
    for damaged in (text[:-9], text.replace("[", "[1", 1), "{}"):
        path.write_text(damaged)
        with pytest.raises(DataError, match=r"image_domain\.json: damaged"):
            load_image_domain(path)
