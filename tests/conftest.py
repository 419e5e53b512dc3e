from __future__ import annotations

import dataclasses
import itertools
import logging
import os
import sys

# before torch is imported: the workers of pytest already use all cores
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# no deadline, since machines may be busy; derandomized, so that failures can be reproduced
settings.register_profile(
    "echoseg",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    max_examples=int(os.environ.get("ECHOSEG_EXAMPLES", "100")),
)
settings.register_profile("first verdict", settings.get_profile("echoseg"), max_examples=25)
settings.load_profile("echoseg")


def pytest_configure(config):
    """Property tests try fewer examples where slow tests are left out."""
    if config.option.markexpr == "not slow" and "ECHOSEG_EXAMPLES" not in os.environ:
        settings.load_profile("first verdict")


def pytest_collection_modifyitems(items):
    """Tests in a browser and tests in stress/ count as slow."""
    for item in items:
        if item.get_closest_marker("browser") or item.path.parent.name == "stress":
            item.add_marker(pytest.mark.slow)


_NUMBERS = itertools.count()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Tests do not use the cache folder of the user or the width of the terminal."""
    # not below `tmp_path`, which would make a folder for each test
    monkeypatch.setenv("ECHOSEG_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{next(_NUMBERS)}"))
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def _own_logging():
    """The logger "echoseg" is as if nothing had configured it, whatever a fixture or a command has set before."""
    logger = logging.getLogger("echoseg")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
    yield
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()


@pytest.fixture(autouse=True)
def _own_random_numbers():
    """Seed torch before each test, so that results do not depend on the order of the tests."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def disc_store(tmp_path_factory):
    """A store that a small network learns in seconds: dark, noisy discs on grey, 32 × 32 pixels, 48 patients."""
    from echoseg.datasets.store import write_store

    random = np.random.default_rng(0)
    count, side = 48, 32
    centre, radius = random.uniform(12, 19, (count, 1, 2)), random.uniform(6, 9, (count, 1, 1))
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    contours = centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    y, x = np.mgrid[:side, :side]
    inside = np.hypot(x - centre[:, :, :1], y - centre[:, :, 1:]) < radius
    frames = random.normal(120, 20, (count, side, side)) - 80 * inside
    samples = pd.DataFrame(
        {
            "video": [f"disc{i:02d}" for i in range(count)],
            "frame": 0,
            "patient": [f"disc{i:02d}" for i in range(count)],
            "phase": "",
            "split": ["TRAIN"] * 32 + ["VAL"] * 8 + ["TEST"] * 8,
            "row": np.arange(count) + 2,
            "height": side,
            "width": side,
            "fps": 50.0,
            "ef": np.nan,
            "edv": np.nan,
            "esv": np.nan,
            "spacing_y": np.nan,
            "spacing_x": np.nan,
            "thickness": np.nan,
            "view": "",
        }
    )
    path = tmp_path_factory.mktemp("data") / "discs"
    manifest = {"source": "test", "ordering": None, "faults": []}
    return write_store(path, frames.clip(0, 255).astype(np.uint8), list(contours.astype(np.float32)), samples, manifest)


@pytest.fixture(scope="session")
def chord_store(disc_store):
    """`disc_store` as if traced by chords, with the apex on the right and the annulus on the left."""
    manifest = {**disc_store.manifest, "kind": "chords", "ordering": "chords"}
    return dataclasses.replace(disc_store, manifest=manifest)
