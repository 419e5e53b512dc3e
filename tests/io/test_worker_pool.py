"""Decoding in child processes: what a file may do to its decoder, and what becomes of the program."""

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
from echoseg.io.reading import decode_clip, open_volume, read_clip, read_image, read_voxels
from echoseg.io.worker import answer
from echoseg.utils.parallel import cpus

posix = pytest.mark.skipif(os.name == "nt", reason="signals, limits and forks are POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="looks into /proc")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "v.avi")


@pytest.fixture(autouse=True)
def _fresh():
    worker_pool.end_children()
    yield
    worker_pool.end_children()


def the_child() -> subprocess.Popen:
    (child,) = worker_pool._children.every
    return child


def wait_until(true) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("waited for half a minute")


def test_it_is_another_process_and_the_same_one_again(video):
    read_clip(video)
    first = the_child().pid
    assert first != os.getpid()
    decode_clip(video, [1])
    assert the_child().pid == first


def test_what_is_told_is_what_reading_here_gives(video):
    facts, (frames,) = answer({"task": "video", "path": str(video), "argument": None})
    clip = read_clip(video)
    np.testing.assert_array_equal(clip.frames, frames)
    assert (clip.fps, clip.declared, clip.square) == (facts["fps"], facts["declared"], facts["square"])
    assert clip.frames.flags.writeable


def test_an_embedded_python_decodes_in_its_own_process(video, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)
    assert not worker_pool._children.every


@posix
@pytest.mark.parametrize("sign", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_crash_costs_one_file(video, sign, monkeypatch):
    read_clip(video)
    child, asked, receive = the_child(), threading.Event(), worker_pool._receive
    monkeypatch.setattr(worker_pool, "_receive", lambda *arguments: asked.set() or receive(*arguments))
    child.send_signal(signal.SIGSTOP)  # so that it is at work for as long as this takes
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read_clip, video)
        assert asked.wait(60)  # taken from the idle ones and found alive; one that died before is replaced in silence
        child.send_signal(sign)
        child.send_signal(signal.SIGCONT)
        with pytest.raises(DataError) as caught:
            reading.result()
    assert str(caught.value) == f"{video}: crashed its decoder, which was ended by {sign.name}; replace the file"
    assert child.returncode == -sign
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)
    assert the_child().pid != child.pid


@posix
def test_a_decoder_that_hangs_is_ended(video, monkeypatch):
    read_clip(video)
    child = the_child()
    child.send_signal(signal.SIGSTOP)
    monkeypatch.setenv(worker_pool.SECONDS, "0.3")
    with pytest.raises(DataError, match=r"v\.avi: takes longer than 0\.3 s to decode; .*set ECHOSEG_DECODE_SECONDS"):
        read_clip(video)
    assert child.returncode == -signal.SIGKILL
    monkeypatch.delenv(worker_pool.SECONDS)
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)


@posix
def test_a_child_that_died_between_two_files_is_replaced(video):
    read_clip(video)
    child = the_child()
    child.kill()
    child.wait()
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)
    assert the_child().pid != child.pid


def write_huge(folder: Path, sides: str, size: int) -> Path:
    """A sound volume of zeros, sparse on disk."""
    path = folder / "huge.mhd"
    path.write_text(f"NDims = 3\nDimSize = {sides}\nElementType = MET_FLOAT\nElementDataFile = huge.raw\n")
    with (folder / "huge.raw").open("wb") as file:
        file.truncate(size)
    return path


@linux
def test_what_needs_more_memory_is_named_and_the_next_file_is_read(video, tmp_path, monkeypatch):
    path = write_huge(tmp_path, "1000 1000 500", 2 * 10**9)
    monkeypatch.setenv(worker_pool.GIB, "1.5")
    with pytest.raises(DataError, match=r"huge\.mhd: takes more memory .*set ECHOSEG_DECODE_GIB"):
        read_clip(path)
    assert read_clip(video).frames.shape == (FRAMES, *SIZE)


def test_what_is_too_large_to_be_sent_is_refused(tmp_path, monkeypatch):
    path = write_huge(tmp_path, "100 100 100", 4 * 10**6)
    monkeypatch.setattr(worker_pool, "MAX_BYTES", 10**6 - 1)
    with pytest.raises(DataError, match=r"huge\.mhd: its decoder told nonsense"):
        read_clip(path)


@linux
def test_the_child_may_write_nothing_and_stands_aside(video):
    read_clip(video)
    limits = Path(f"/proc/{the_child().pid}/limits").read_text(encoding="utf-8")
    most = {line[:25].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert most["Max file size"] == most["Max core file size"] == ["0", "0"]
    assert most["Max address space"] == [str(8 << 30)] * 2
    assert os.getsid(the_child().pid) != os.getsid(0)


def test_the_child_is_light():
    code = "import sys, echoseg.io.worker; print(*sys.modules.keys() & {'torch', 'pandas', 'nibabel', 'pydicom'})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.split() == []


def test_many_threads_share_few_children(video):
    expected = [read_clip(video).frames, read_clip(video).frames[[2, 5]]]

    def work(_: int) -> None:
        for _ in range(25):
            np.testing.assert_array_equal(read_clip(video).frames, expected[0])
            np.testing.assert_array_equal(list(decode_clip(video, [2, 5]).frames.values()), expected[1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert 1 <= len(worker_pool._children.every) <= cpus()
    assert len(worker_pool._children.idle) == len(worker_pool._children.every)


def told(facts: object, kinds: object, data: bytes = b"") -> bytes:
    header = json.dumps([facts, kinds]).encode()
    return len(header).to_bytes(4, "little") + header + data


CLIP = {"fps": 25.0, "spacing": [1.0, 1.0], "thickness": 1.0, "square": None, "declared": 0}
NONSENSE = {
    "a header too long": b"\xff\xff\xff\xff" + bytes(99),
    "no JSON": b"\4\0\0\0abcd",
    "nested": (1 << 19).to_bytes(4, "little") + b"[" * (1 << 19),
    "no facts": told([], []),
    "no pair": b"\2\0\0\0[]",
    "no kinds": told(CLIP, 7),
    "no kind": told(CLIP, [["|u1"]]),
    "objects": told(CLIP, [["|O", [1, 2, 2]]], bytes(32)),
    "unhashable": told(CLIP, [[[], [1, 2, 2]]], bytes(32)),
    "negative": told(CLIP, [["|u1", [-1, 2, 2]]]),
    "no numbers": told(CLIP, [["|u1", ["1", 2, 2]]]),
    "2^96": told(CLIP, [["|u1", [2**32, 2**32, 2**32]]]),
    "5 GiB": told(CLIP, [["|u1", [5, 2**15, 2**15]]]),
    "no array": told(CLIP, []),
    "two arrays": told(CLIP, [["|u1", [1, 1, 1]]] * 2, bytes(2)),
    "flat": told(CLIP, [["|u1", [4]]], bytes(4)),
    "no frames": told(CLIP, [["|u1", [0, 2, 2]]]),
    "16 bits": told(CLIP, [["<u2", [1, 2, 2]]], bytes(8)),
    "a fact missing": told({"fps": 25.0}, [["|u1", [1, 2, 2]]], bytes(4)),
    "a fact of words": told({**CLIP, "fps": "fast"}, [["|u1", [1, 2, 2]]], bytes(4)),
    "infinite": told({**CLIP, "declared": float("inf")}, [["|u1", [1, 2, 2]]], bytes(4)),
}


def speak(monkeypatch, payload: bytes) -> None:
    """A child that was taken over: it reads a request and tells what it wants."""
    code = f"import sys; sys.stdin.buffer.read(4); sys.stdout.buffer.write({payload!r}); sys.stdout.buffer.flush()"
    if len(payload) > 10_000:
        code = code.replace(repr(payload), f"{payload[:5]!r} + {payload[5:6]!r} * {len(payload) - 5}")
    monkeypatch.setattr(worker_pool, "_START", code + "; sys.stdin.buffer.read()")


@pytest.mark.parametrize("case", NONSENSE)
def test_the_child_is_not_believed(video, monkeypatch, case):
    speak(monkeypatch, NONSENSE[case])
    with pytest.raises(DataError, match=r"v\.avi: its decoder told nonsense"):
        read_clip(video)


def test_what_the_child_says_is_one_line_without_commands_for_the_terminal(video, monkeypatch):
    speak(monkeypatch, told({"error": "a\nb\x1b[2Jc\r\0" + 1000 * "d"}, []))
    with pytest.raises(DataError) as caught:
        read_clip(video)
    text = str(caught.value).removeprefix(f"{video}: ")
    assert text.startswith("a b")
    assert text.isprintable()
    assert len(text) <= 520


@pytest.mark.parametrize("reader", [read_clip, read_image, open_volume, lambda path: decode_clip(path, [0])])
@pytest.mark.parametrize("name", ["fifo.avi", "folder.png", "none.nii", "zero", "nul\0.avi"])
def test_only_files_are_read(tmp_path, reader, name):
    path = tmp_path / name
    if name.startswith("fifo"):
        if not hasattr(os, "mkfifo"):
            pytest.skip("no pipes with names")
        os.mkfifo(path)
    if name.startswith("folder"):
        path.mkdir()
    path = Path("/dev/zero") if name == "zero" else path
    with pytest.raises(DataError, match="cannot be read"):
        reader(path)


@pytest.mark.parametrize("value", ["0", "-1", "nan", "soon", "inf"])
@pytest.mark.parametrize("name", [worker_pool.SECONDS, worker_pool.GIB])
def test_a_limit_that_is_none(video, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=f"{name}: expected a number above 0, got '{value}'"):
        read_clip(video)


def test_a_volume_that_changed_between_head_and_voxels(tmp_path):
    volume = open_volume(write_huge(tmp_path, "2 3 4", 96))
    write_huge(tmp_path, "2 3 5", 120)
    with pytest.raises(DataError, match=r"huge\.mhd"):
        read_voxels(volume)


def run_script(folder: Path, text: str, **options) -> subprocess.Popen:
    """Run a program without a main guard, in a folder whose modules nobody may import."""
    here = folder / "a folder of a stranger"
    here.mkdir()
    for name in ("numpy", "cv2", "echoseg", "json", "sitecustomize", "signal"):
        (here / f"{name}.py").write_text("raise SystemExit('imported from the working folder')")
    script = folder / "program.py"
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(Path(echoseg.__file__).parents[1])}
    return subprocess.Popen([sys.executable, script], cwd=here, stdout=subprocess.PIPE, env=environment, **options)


READ = """
from echoseg.io import worker_pool
from echoseg.io.reading import read_clip
print("once", read_clip({0!r}).frames.shape[0], *(child.pid for child in worker_pool._children.every), flush=True)
"""


def is_gone(pid: str) -> bool:
    command = Path(f"/proc/{pid}/cmdline")  # empty of one that ended and that nobody has waited for
    return not command.exists() or not command.read_bytes()


@linux
@pytest.mark.parametrize("ending", ["", "import os; os._exit(3)", "import time; time.sleep(60)"])
def test_no_child_is_left_when_its_parent_ends(video, tmp_path, ending):
    with run_script(tmp_path, READ.format(str(video)) + ending) as program:
        once, frames, pid = program.stdout.readline().decode().split()
        assert (once, int(frames)) == ("once", FRAMES)
        if "sleep" in ending:
            assert not is_gone(pid)
            program.kill()
        assert program.stdout.read() == b""
    wait_until(lambda: is_gone(pid))


FORK = """
import os
if os.fork() == 0:
    print("child", read_clip({0!r}).frames.shape[0], *(child.pid for child in worker_pool._children.every), flush=True)
    raise SystemExit
os.wait()
print("parent", read_clip({0!r}).frames.shape[0], *(child.pid for child in worker_pool._children.every), flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork_each_has_its_own(video, tmp_path):
    with run_script(tmp_path, (READ + FORK).format(str(video))) as program:
        words = [line.split() for line in program.communicate(timeout=60)[0].decode().splitlines()]
    assert program.returncode == 0
    assert [line[:2] for line in words] == [["once", str(FRAMES)], ["child", str(FRAMES)], ["parent", str(FRAMES)]]
    before, forked, after = (line[2:] for line in words)
    assert before == after
    assert len(forked) == 1
    assert forked != before


READERS = {"VideoCapture", "imread", "imdecode", "imreadmulti", "dcmread"}
HOMES = {"video.py", "image.py", "dicom.py", "dataset.py"}  # the last is the phantom's, and decodes its own
RAW = {"read_video", "decode_frames", "read_dicom"}


def test_nobody_else_decodes():
    for path in Path(echoseg.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert path.name in HOMES or not used & READERS, path
        imported = {
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("echoseg.io")
            for alias in node.names
        }
        raw = {f"echoseg.io.{home}" for home in ("volume.open_volume", "volume.read_voxels", "image.read_image")}
        raw |= {name for name in imported if name.rpartition(".")[2] in RAW}
        assert path.name == "worker.py" or not imported & raw, path
