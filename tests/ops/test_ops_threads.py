"""Threads, forks and instruction sets give the same pixels and do not deadlock."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from echoseg import ops
from stress import threads as stress_threads

pytestmark = pytest.mark.slow

PROGRAM = """
import hashlib
import numpy as np
from echoseg import ops
random = np.random.default_rng(0)
digest = hashlib.sha256()
for size in ((112, 112), (37, 129), (64, 64)):
    contours = random.uniform(-20, 140, (150, 21, 2)).astype(np.float32)
    landmarks = random.uniform(-20, 140, (150, 7, 2)).astype(np.float32)
    for style in ({}, {"rule": "opencv", "kernel_size": 6, "shape": "ellipse", "radius": 9.5},
                  {"kind": "euclidean", "radius": 14.0, "shape": "cross"}):
        targets = ops.render_targets(contours, landmarks, size, **style)
        free = ops.render_heatmaps(landmarks, size)
        digest.update(ops.fill_polygons(contours, size, rule="coverage").tobytes())
        digest.update(ops.border_band_from_contours(contours, size, kernel_size=9).tobytes())
        narrow = [ops.render_heatmaps(landmarks, size, radius=9.0, dtype=dtype) for dtype in ("float16", "uint8")]
        distances = ops.distance_transform(1 - targets.band, spacing=(0.3, 0.4)), ops.distance_transform(targets.mask)
        surfaces = ops.surface_distances(targets.mask[::-1].copy(), targets.mask)
        surfaces += ops.surface_distances(targets.band, targets.mask, spacing=(0.3, 0.4))
        surfaces += (ops.normalized_surface_dice(targets.band, targets.mask, tolerance=2.3, spacing=(0.3, 0.4)),)
        decoded = ops.decode_heatmaps(targets.heatmaps)
        for array in (*targets, free, *narrow, *decoded, ops.erode(targets.mask), *distances, *surfaces):
            digest.update(array.tobytes())
print(digest.hexdigest())
"""


def run(program=PROGRAM, **environment):
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | environment, timeout=120
    )
    return finished.stdout.strip() or finished.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def digest():
    return run(ECHOSEG_NUM_THREADS="1")


@pytest.mark.parametrize("level", ops.build_info()["simd_levels"])
def test_instruction_sets_give_the_same_bits(level, digest):
    assert run(ECHOSEG_SIMD=level) == digest


@pytest.mark.parametrize("threads", ["2", "7", "64"])
def test_numbers_of_threads_give_the_same_bits(threads, digest):
    assert run(ECHOSEG_NUM_THREADS=threads) == digest


def test_unknown_instruction_set():
    message = "ECHOSEG_SIMD=mmx is not available here; choose one of: baseline"
    assert message in run(ECHOSEG_SIMD="mmx")
    assert run("from echoseg.cli import main; main(['info'])", ECHOSEG_SIMD="mmx").startswith(f"echoseg: {message}")


@pytest.mark.parametrize("text", ["0", "-1", "abc", "", "1000000000", "99999999999999999999", "2.5", " 3", "\u0664"])
def test_invalid_numbers_of_threads(text):
    threads = int(run("from echoseg import ops; print(ops.build_info()['threads'])", ECHOSEG_NUM_THREADS=text))
    assert 1 <= threads <= 256


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs Linux")
def test_number_of_threads_follows_the_environment_and_the_affinity():
    program = "from echoseg import ops; print(ops.build_info()['threads'])"
    assert run(program, ECHOSEG_NUM_THREADS="5") == "5"
    assert run(program, ECHOSEG_NUM_THREADS="") == str(len(os.sched_getaffinity(0)))
    pinned = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); " + program
    assert run(pinned, ECHOSEG_NUM_THREADS="") == "1"


def some_work():
    contours = np.random.default_rng(3).uniform(0, 112, (50, 42, 2)).astype(np.float32)
    return ops.render_targets(contours, contours[:, :7].copy(), (112, 112))


def work_digest():
    return hashlib.sha256(some_work().heatmaps.tobytes()).hexdigest()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # Python warns of forking with threads: just what is tried here
def test_fork_after_use(monkeypatch):
    monkeypatch.setenv("ECHOSEG_NUM_THREADS", "3")
    expected = work_digest()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        results = [pool.apply_async(work_digest) for _ in range(6)]
        assert {result.get(timeout=60) for result in results} == {expected}
    assert work_digest() == expected


def test_calls_from_several_python_threads(monkeypatch):
    monkeypatch.setenv("ECHOSEG_NUM_THREADS", "3")
    expected = work_digest()
    digests = []
    threads = [threading.Thread(target=lambda: digests.extend(work_digest() for _ in range(10))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert digests == [expected] * 60


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc")
def test_every_operator_from_threads_and_forks_at_once(monkeypatch):
    monkeypatch.setenv("ECHOSEG_NUM_THREADS", "3")
    assert stress_threads.shared_inputs(16) == 0
    assert stress_threads.forks_during_kernels(5) == 0
    assert stress_threads.forks_during_first_call(2) == 0, "is the native module built from these sources?"
    assert stress_threads.loader_workers(4) == 0
    assert stress_threads.short_threads(20)[0] < 0.1


def threads_started():
    """The number of threads that calls start, of many images and of one image that threads divide."""
    mask = np.ones((1, 1500, 1500), np.uint8)
    mask[0, 0, 0] = 0
    before = len(list(Path("/proc/self/task").iterdir()))
    some_work()
    ops.distance_transform(mask)
    return len(list(Path("/proc/self/task").iterdir())) - before


class ThreadsStarted:
    """A data set for a ``DataLoader``."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return threads_started()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, and reads /proc")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # as above
def test_one_thread_in_a_data_loader_worker(monkeypatch):
    import torch.utils.data

    monkeypatch.setenv("ECHOSEG_NUM_THREADS", "3")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(threads_started) == 2
    loader = torch.utils.data.DataLoader(ThreadsStarted(), num_workers=1, multiprocessing_context="fork")
    assert [int(number) for number in loader] == [0]


LIMITED_MEMORY = """
import resource
import numpy as np
from echoseg import ops
contours = np.random.default_rng(0).uniform(0, 200, (500, 42, 2)).astype(np.float32)
out = np.empty((500, 200, 200), np.uint8)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2**22  # half of the stack of a thread
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
ops.fill_polygons(contours, (200, 200), out=out)
print(out.any(axis=(1, 2)).all())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="uses RLIMIT_AS of Linux")
def test_system_that_cannot_start_threads():
    assert run(LIMITED_MEMORY, ECHOSEG_NUM_THREADS="4", OPENBLAS_NUM_THREADS="1") == "True"
