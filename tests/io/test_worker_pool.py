"""Decoding in worker processes: what a file may do to its decoder, and how the program continues."""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import echoseg
from _folders import FRAMES, SIZE, write_video
from echoseg.errors import DataError
from echoseg.io import worker_pool
from echoseg.io.reading import decode_clip, open_volume, read_clip, read_labels, read_voxels
from echoseg.io.worker import respond
from echoseg.utils.parallel import cpus

posix = pytest.mark.skipif(os.name == "nt", reason="signals, limits and forks are POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.avi")


@pytest.fixture(autouse=True)
def _end_workers():
    worker_pool.end_workers()
    yield
    worker_pool.end_workers()


def only_worker() -> subprocess.Popen:
    (worker,) = worker_pool._pool.workers
    return worker


def wait_until(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("condition still false after 30 seconds")


def test_files_are_decoded_in_one_other_process(video):
    read_clip(video)
    first = only_worker().pid
    assert first != os.getpid()
    decode_clip(video, [1])
    assert only_worker().pid == first


def test_the_worker_returns_the_same_as_decoding_in_this_process(video):
    metadata, (frames,) = respond({"task": "video", "path": str(video), "argument": None})
    clip = read_clip(video)
    np.testing.assert_array_equal(clip.frames, frames)
    assert (clip.fps, clip.declared, clip.square) == (metadata["fps"], metadata["declared"], metadata["square"])
    assert clip.frames.flags.writeable


def test_an_embedded_python_decodes_in_its_own_process(video, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)
    assert not worker_pool._pool.workers


@posix
@pytest.mark.parametrize("sign", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_crash_costs_one_file(video, sign, monkeypatch):
    read_clip(video)
    worker, waiting, receive = only_worker(), threading.Event(), worker_pool._receive
    monkeypatch.setattr(worker_pool, "_receive", lambda *arguments: waiting.set() or receive(*arguments))
    worker.send_signal(signal.SIGSTOP)  # keeps the request pending
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_clip, video)
        assert waiting.wait(60)  # from here on a dead worker is a crash; one that died while idle is replaced silently
        worker.send_signal(sign)
        worker.send_signal(signal.SIGCONT)
        with pytest.raises(DataError) as caught:
            reading.result()
    assert (
        str(caught.value)
        == f"{video}: its decoder crashed ({sign.name}); convert it to another type, or replace the file"
    )
    assert worker.returncode == -sign
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)
    assert only_worker().pid != worker.pid


@pytest.mark.slow
@posix
def test_a_decoder_that_hangs_is_ended(video, monkeypatch):
    read_clip(video)
    worker = only_worker()
    worker.send_signal(signal.SIGSTOP)
    monkeypatch.setenv(worker_pool.TIME_LIMIT, "0.3")
    with pytest.raises(DataError, match=r"v\.avi: takes longer than 0\.3 s to decode; .*raise ECHOSEG_DECODE_SECONDS"):
        read_clip(video)
    assert worker.returncode == -signal.SIGKILL
    monkeypatch.delenv(worker_pool.TIME_LIMIT)
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)


@pytest.mark.slow
@posix
def test_a_worker_that_died_while_idle_is_replaced(video):
    read_clip(video)
    worker = only_worker()
    worker.kill()
    worker.wait()
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)
    assert only_worker().pid != worker.pid


def write_huge(folder: Path, sides: str, size: int) -> Path:
    """A valid volume of zeros in a sparse file."""
    path = folder / "huge.mhd"
    path.write_text(f"NDims = 3\nDimSize = {sides}\nElementType = MET_FLOAT\nElementDataFile = huge.raw\n")
    with (folder / "huge.raw").open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.slow
@linux
def test_exceeding_the_memory_limit_is_reported_and_the_next_file_is_read(video, tmp_path, monkeypatch):
    path = write_huge(tmp_path, "1000 1000 500", 2 * 10**9)
    monkeypatch.setenv(worker_pool.MEMORY_LIMIT, "1.5")
    with pytest.raises(DataError, match=r"huge\.mhd: needs more memory .*raise ECHOSEG_DECODE_GIB"):
        read_clip(path)
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)


@pytest.mark.slow
def test_a_response_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = write_huge(tmp_path, "100 100 100", 4 * 10**6)
    monkeypatch.setattr(worker_pool, "MAX_BYTES", 10**6 - 1)
    with pytest.raises(DataError, match=r"huge\.mhd: its decoder gave an invalid response"):
        read_clip(path)


@linux
def test_the_worker_cannot_write_files_and_has_its_own_session(video):
    read_clip(video)
    text = Path(f"/proc/{only_worker().pid}/limits").read_text(encoding="utf-8")
    limits = {line[:25].strip(): line[26:].split()[:2] for line in text.splitlines()}
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max address space"] == [str(8 << 30)] * 2
    assert os.getsid(only_worker().pid) != os.getsid(0)


def test_the_worker_imports_no_large_library():
    code = "import sys, echoseg.io.worker; print(*sys.modules.keys() & {'torch', 'pandas', 'nibabel', 'pydicom'})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.split() == []


@pytest.mark.slow
def test_many_threads_share_few_workers(video):
    expected = [read_clip(video).frames, read_clip(video).frames[[2, 5]]]

    def read_repeatedly(_: int) -> None:
        for _ in range(25):
            np.testing.assert_array_equal(read_clip(video).frames, expected[0])
            np.testing.assert_array_equal(list(decode_clip(video, [2, 5]).frames.values()), expected[1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read_repeatedly, range(8)))
    assert 1 <= len(worker_pool._pool.workers) <= cpus()
    assert len(worker_pool._pool.idle) == len(worker_pool._pool.workers)


def encode(metadata: object, descriptions: object, data: bytes = b"") -> bytes:
    """A response as the worker writes it."""
    header = json.dumps([metadata, descriptions]).encode()
    return len(header).to_bytes(4, "little") + header + data


CLIP = {"fps": 25.0, "spacing": [1.0, 1.0], "thickness": 1.0, "square": None, "declared": 0}
INVALID_RESPONSES = {
    "header too long": b"\xff\xff\xff\xff" + bytes(99),
    "not JSON": b"\4\0\0\0abcd",
    "deeply nested": (1 << 19).to_bytes(4, "little") + b"[" * (1 << 19),
    "metadata is a list": encode([], []),
    "not a pair": b"\2\0\0\0[]",
    "descriptions are a number": encode(CLIP, 7),
    "no shape": encode(CLIP, [["|u1"]]),
    "object dtype": encode(CLIP, [["|O", [1, 2, 2]]], bytes(32)),
    "unhashable dtype": encode(CLIP, [[[], [1, 2, 2]]], bytes(32)),
    "negative side": encode(CLIP, [["|u1", [-1, 2, 2]]]),
    "side is a string": encode(CLIP, [["|u1", ["1", 2, 2]]]),
    "2^96 bytes": encode(CLIP, [["|u1", [2**32, 2**32, 2**32]]]),
    "5 GiB": encode(CLIP, [["|u1", [5, 2**15, 2**15]]]),
    "no array": encode(CLIP, []),
    "two arrays": encode(CLIP, [["|u1", [1, 1, 1]]] * 2, bytes(2)),
    "one-dimensional": encode(CLIP, [["|u1", [4]]], bytes(4)),
    "no frames": encode(CLIP, [["|u1", [0, 2, 2]]]),
    "16 bits": encode(CLIP, [["<u2", [1, 2, 2]]], bytes(8)),
    "missing entries": encode({"fps": 25.0}, [["|u1", [1, 2, 2]]], bytes(4)),
    "fps is a word": encode({**CLIP, "fps": "fast"}, [["|u1", [1, 2, 2]]], bytes(4)),
    "declared is infinite": encode({**CLIP, "declared": float("inf")}, [["|u1", [1, 2, 2]]], bytes(4)),
}


def replace_worker(monkeypatch, response: bytes) -> None:
    """Start workers that read a request and write the given response."""
    code = f"import sys; sys.stdin.buffer.read(4); sys.stdout.buffer.write({response!r}); sys.stdout.buffer.flush()"
    if len(response) > 10_000:
        code = code.replace(repr(response), f"{response[:5]!r} + {response[5:6]!r} * {len(response) - 5}")
    monkeypatch.setattr(worker_pool, "_WORKER_CODE", code + "; sys.stdin.buffer.read()")


@pytest.mark.parametrize("case", INVALID_RESPONSES)
def test_an_invalid_response_is_refused(video, monkeypatch, case):
    replace_worker(monkeypatch, INVALID_RESPONSES[case])
    with pytest.raises(DataError, match=r"v\.avi: its decoder gave an invalid response"):
        read_clip(video)


def test_an_error_of_the_worker_is_one_line_without_control_characters(video, monkeypatch):
    replace_worker(monkeypatch, encode({"error": "a\nb\x1b[2Jc\r\0" + 1000 * "d"}, []))
    with pytest.raises(DataError) as caught:
        read_clip(video)
    text = str(caught.value).removeprefix(f"{video}: ")
    assert text.startswith("a b")
    assert text.isprintable()
    assert len(text) <= 520


@pytest.mark.parametrize("reader", [read_clip, read_labels, open_volume, lambda path: decode_clip(path, [0])])
@pytest.mark.parametrize("name", ["fifo.avi", "folder.png", "none.nii", "zero", "nul\0.avi"])
def test_only_regular_files_are_read(tmp_path, reader, name):
    path = tmp_path / name
    if name.startswith("fifo"):
        if not hasattr(os, "mkfifo"):
            pytest.skip("no named pipes")
        os.mkfifo(path)
    if name.startswith("folder"):
        path.mkdir()
    path = Path("/dev/zero") if name == "zero" else path
    with pytest.raises(DataError, match="cannot be read"):
        reader(path)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon", "inf"])
@pytest.mark.parametrize("name", [worker_pool.TIME_LIMIT, worker_pool.MEMORY_LIMIT])
def test_an_invalid_limit_is_refused(video, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=f"{name}: expected a number greater than 0, got '{value}'"):
        read_clip(video)


@pytest.mark.slow
def test_a_volume_that_changes_between_header_and_voxels_is_refused(tmp_path):
    volume = open_volume(write_huge(tmp_path, "2 3 4", 96))
    write_huge(tmp_path, "2 3 5", 120)
    with pytest.raises(DataError, match=r"huge\.mhd"):
        read_voxels(volume)


def run_script(folder: Path, text: str, **options) -> subprocess.Popen:
    """Run a program without a main guard in a working directory with modules that must not be imported."""
    untrusted = folder / "untrusted"
    untrusted.mkdir()
    for name in ("numpy", "cv2", "echoseg", "json", "sitecustomize", "signal"):
        (untrusted / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    script = folder / "program.py"
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(Path(echoseg.__file__).parents[1])}
    return subprocess.Popen([sys.executable, script], cwd=untrusted, stdout=subprocess.PIPE, env=environment, **options)


READ = """
from echoseg.io import worker_pool
from echoseg.io.reading import read_clip
print("first", read_clip({0!r}).frames.shape[0], *(worker.pid for worker in worker_pool._pool.workers), flush=True)
"""


def is_gone(pid: str) -> bool:
    command = Path(f"/proc/{pid}/cmdline")  # empty for a zombie
    return not command.exists() or not command.read_bytes()


@pytest.mark.slow
@linux
@pytest.mark.parametrize("ending", ["", "import os; os._exit(3)", "import time; time.sleep(60)"])
def test_workers_end_with_their_parent(video, tmp_path, ending):
    with run_script(tmp_path, READ.format(str(video)) + ending) as program:
        first, frames, pid = program.stdout.readline().decode().split()
        assert (first, int(frames)) == ("first", FRAMES)
        if "sleep" in ending:
            assert not is_gone(pid)
            program.kill()
        assert program.stdout.read() == b""
    wait_until(lambda: is_gone(pid))


FORK = """
import os
if os.fork() == 0:
    print("fork", read_clip({0!r}).frames.shape[0], *(worker.pid for worker in worker_pool._pool.workers), flush=True)
    raise SystemExit
os.wait()
print("parent", read_clip({0!r}).frames.shape[0], *(worker.pid for worker in worker_pool._pool.workers), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_starts_its_own_workers(video, tmp_path):
    with run_script(tmp_path, (READ + FORK).format(str(video))) as program:
        lines = [line.split() for line in program.communicate(timeout=60)[0].decode().splitlines()]
    assert program.returncode == 0
    assert [line[:2] for line in lines] == [["first", str(FRAMES)], ["fork", str(FRAMES)], ["parent", str(FRAMES)]]
    before, forked, after = (line[2:] for line in lines)
    assert before == after
    assert len(forked) == 1
    assert forked != before


DECODERS = {"VideoCapture", "imread", "imdecode", "imdecodemulti", "imreadmulti", "dcmread"}
DECODING_FILES = {
    "io/video.py",
    "io/image.py",
    "io/dicom.py",
    "io/dicom_file.py",
    "io/multiframe.py",
    "io/raw_avi.py",
    "io/series.py",
    "phantom/dataset.py",
}  # the phantom decodes its own JPEGs
READERS = {
    "echoseg.io.video.read_video",
    "echoseg.io.video.decode_frames",
    "echoseg.io.dicom.read_dicom",
    "echoseg.io.dicom_file.read_header",
    "echoseg.io.multiframe.open_frames",
    "echoseg.io.series.series_files",
    "echoseg.io.series.open_series",
    "echoseg.io.series.read_series",
    "echoseg.io.series.read_series_voxels",
    "echoseg.io.volume.open_volume",
    "echoseg.io.volume.read_voxels",
    "echoseg.io.image.read_pages",
    "echoseg.io.image.read_stored",
    "echoseg.io.label_image.read_labels",
    "echoseg.io.label_image.read_palette",
}


@pytest.mark.slow
def test_only_the_worker_decodes():
    package = Path(echoseg.__file__).parent
    decoding, importing = set(), set()
    for path in package.rglob("*.py"):
        name, tree = path.relative_to(package).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        imported = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        decoding |= {name} if used & DECODERS else set()
        importing |= {name} if imported & READERS else set()
    assert decoding == DECODING_FILES
    assert importing == {"io/worker.py"}


def test_a_file_without_permission_is_not_called_damaged(video, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read every file
    with pytest.raises(DataError, match=r"no permission\); allow reading it"):
        read_clip(video)
