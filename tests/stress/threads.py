"""Every operator called from many threads and forks at once: the same bits as alone, no hang, nothing left behind.

    python tests/stress/threads.py [--count 200]

Five parts, each ``--count`` times over (forks at the very first call, which need a process each, a tenth as often):

- threads call all operators on shared inputs;
- the process forks, and the children call them, while another thread is inside a kernel;
- the same at the first call of all, while what is found out once is being found out;
- workers of a torch DataLoader, forked, call them;
- threads that live for one call come and go: threads and memory do not grow with the calls.

Linux alone. Exit code 1 if any answer differed, a child hung, or something stayed.
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

PATIENCE = 60.0  # s, until a child counts as hung
SIZE = (112, 112)


def digest(of: dict[str, Operator]) -> str:
    """Of what every operator gives."""
    sha = hashlib.sha256()
    for operator in of.values():
        for array in operator.run():
            sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def shared_inputs(count: int, callers: int = 8) -> int:
    """Threads that all call everything on the same arrays; how many answers differ."""
    inputs = operators(40, SIZE)
    expected, answers = digest(inputs), list[str]()
    rounds = -(-count // callers)
    threads = [
        threading.Thread(target=lambda: answers.extend(digest(inputs) for _ in range(rounds))) for _ in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answer != expected for answer in answers) + (len(answers) != rounds * callers)


def ends_well(child: int) -> bool:
    """Waits for a forked child; one that does not end is killed."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def fork(work: Callable[[], bool]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of forking with threads: what is tried here
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return child


def forks_amid_kernels(count: int) -> int:
    """Forks while another thread draws; how many children hang or see other bits."""
    inputs, stop = operators(40, SIZE), threading.Event()
    expected = digest(inputs)

    def draw() -> None:
        while not stop.is_set():
            digest(inputs)

    drawing = threading.Thread(target=draw)
    drawing.start()
    try:
        return sum(not ends_well(fork(lambda: digest(inputs) == expected)) for _ in range(count))
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


def forks_at_the_first_call(count: int) -> int:
    """Fresh processes fork soon after a thread's first call began, each a little later; how many hang."""
    hung = 0
    for i in range(count):
        program = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FIRST_CALL, str(i % 20 * 5e-4)], start_new_session=True
        )
        try:
            hung += program.wait(PATIENCE) != 0
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
    """How many answers differ of those that a loader's workers give."""
    data = _Digests(count)
    expected = data[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loader = torch.utils.data.DataLoader(
            data, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=PATIENCE
        )
        return sum(answer != expected for answer in loader)


def held() -> tuple[int, float]:
    """(threads, MB) of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return int(status["Threads"]), int(status["VmRSS"].split()[0]) / 1024


def short_lives(count: int) -> tuple[float, float]:
    """(threads, MB) that a thread of a single call leaves behind: by how much they grow with each."""
    inputs = operators(40, SIZE)
    counts = []
    for _ in range(20 + count):  # the first 20 warm up
        thread = threading.Thread(target=digest, args=(inputs,))
        thread.start()
        thread.join()  # Python's part of it has ended; the system may still count it for a moment
        counts.append(held())
    threads, megabytes = zip(*counts[20:], strict=True)
    return growth_rate(range(count), threads), growth_rate(range(count), megabytes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    os.environ.setdefault("ECHOSEG_NUM_THREADS", "3")  # more than one, whatever machine this is
    kernels = len(operators())
    faults = {
        f"{count} rounds of {kernels} operators from 8 threads": shared_inputs(count),
        f"{count} forks while a thread draws": forks_amid_kernels(count),
        f"{count // 10 + 1} forks in the first call of all": forks_at_the_first_call(count // 10 + 1),
        f"{count} items of a loader's 2 workers": loader_workers(count),
    }
    for what, wrong in faults.items():
        print(f"{what}: {wrong} wrong or hung")
    threads, megabytes = short_lives(count)
    print(f"{count} threads of one round each: {threads:.3f} threads and {megabytes:.3f} MB left behind by each")
    return 1 if any(faults.values()) or threads > 0.01 or megabytes * count > 20 else 0


if __name__ == "__main__":
    sys.exit(main())
