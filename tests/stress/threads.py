"""Calls the operators from many threads and forked processes: the results are bit-identical, and nothing hangs.

    python tests/stress/threads.py [--count 200]

There are five parts, each repeated `--count` times (forks during the first call only a tenth as often):

- Threads call all operators on shared inputs.
- The process forks while another thread is inside a kernel, and the forked processes call the operators.
- The same during the first call of a process, which initializes the library.
- Forked workers of a torch DataLoader call the operators.
- Threads make one call and end; threads and memory must not grow.

Linux only. The exit code is 1 if a result differs, a process hangs, or threads or memory grow.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch.utils.data

from _operators import Operator, operators
from stress._growth import growth_rate

TIMEOUT = 60.0  # s, after which a process counts as hung
SIZE = (112, 112)


def digest(inputs: dict[str, Operator]) -> str:
    """SHA-256 of the results of all operators."""
    sha = hashlib.sha256()
    for operator in inputs.values():
        for array in operator.run():
            sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def shared_inputs(count: int, callers: int = 8) -> int:
    """Threads call all operators on the same arrays; returns the number of wrong results."""
    inputs = operators(40, SIZE)
    expected, results = digest(inputs), list[str]()
    rounds = -(-count // callers)
    threads = [
        threading.Thread(target=lambda: results.extend(digest(inputs) for _ in range(rounds))) for _ in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(result != expected for result in results) + (len(results) != rounds * callers)


def succeeds(pid: int) -> bool:
    """Wait for a forked process, and kill it after the timeout; returns whether it succeeded."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def fork(check: Callable[[], bool]) -> int:
    """Fork a process that succeeds if `check` returns True; returns its id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forks with threads, which are tested here
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)
    return pid


def forks_during_kernels(count: int) -> int:
    """Fork while another thread calls the operators; returns the number of processes that hang or differ."""
    inputs, stop = operators(40, SIZE), threading.Event()
    expected = digest(inputs)

    def draw() -> None:
        while not stop.is_set():
            digest(inputs)

    drawing = threading.Thread(target=draw)
    drawing.start()
    try:
        return sum(not succeeds(fork(lambda: digest(inputs) == expected)) for _ in range(count))
    finally:
        stop.set()
        drawing.join()


FIRST_CALL = """
import os, sys, threading, time
import numpy as np
from echoseg import ops
landmarks = np.full((16, 7, 2), 50, np.float32)  # 5 to 9 MB of heatmaps: how to write them is measured once
out = np.empty((2, 16, 7, 112, 112), np.float32)
def draw(i):
    ops.render_heatmaps(landmarks, (112, 112), sigma=9.0, out=out[i])
other = threading.Thread(target=draw, args=(0,))
other.start()
time.sleep(float(sys.argv[1]))
child = os.fork()
if child == 0:
    draw(1)
    os._exit(0)
other.join()
_, status = os.waitpid(child, 0)
sys.exit(status != 0)
"""


def forks_during_first_call(count: int) -> int:
    """New processes fork shortly after a thread's first call started; returns the number that hang or fail."""
    hung = 0
    for i in range(count):
        program = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FIRST_CALL, str(i % 20 * 5e-4)], start_new_session=True
        )
        try:
            hung += program.wait(TIMEOUT) != 0
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
            hung += 1
    return hung


class _Digests(torch.utils.data.Dataset[str]):
    def __init__(self, count: int) -> None:
        self.count = count
        self.inputs = operators(8, SIZE)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> str:
        return digest(self.inputs)


def loader_workers(count: int) -> int:
    """Workers of a DataLoader call the operators; returns the number of wrong results."""
    data = _Digests(count)
    expected = data[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = torch.utils.data.DataLoader(
            data, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=TIMEOUT
        )
        return sum(result != expected for result in loader)


def count_resources() -> tuple[int, float]:
    """The number of threads and the resident memory in MB of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(status["Threads"]), int(status["VmRSS"].split()[0]) / 1024


def short_threads(count: int) -> tuple[float, float]:
    """Start threads that make a single call; returns the growth of threads and memory (MB) per thread."""
    inputs = operators(40, SIZE)
    counts = []
    for _ in range(20 + count):  # the first 20 warm up
        thread = threading.Thread(target=digest, args=(inputs,))
        thread.start()
        thread.join()  # the operating system may still count the thread for a moment
        counts.append(count_resources())
    threads, megabytes = zip(*counts[20:], strict=True)
    return growth_rate(range(count), threads), growth_rate(range(count), megabytes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    os.environ.setdefault("ECHOSEG_NUM_THREADS", "3")  # more than one on any machine
    kernels = len(operators())
    failures = {
        f"{count} calls of {kernels} operators from 8 threads": shared_inputs(count),
        f"{count} forks during kernels": forks_during_kernels(count),
        f"{count // 10 + 1} forks during the first call": forks_during_first_call(count // 10 + 1),
        f"{count} items of 2 workers of a DataLoader": loader_workers(count),
    }
    for part, number in failures.items():
        print(f"{part}: {number} wrong or hung")
    threads, megabytes = short_threads(count)
    print(f"{count} threads with one call each: {threads:.3f} threads and {megabytes:.3f} MB remain per thread")
    return 1 if any(failures.values()) or threads > 0.01 or megabytes * count > 20 else 0


if __name__ == "__main__":
    sys.exit(main())
