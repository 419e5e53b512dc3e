"""Runs the commands on file systems that are too small, read-only, or disappear. Mounting needs root on Linux."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from _folders import write_folder, write_video
from echoseg.cli import main
from echoseg.phantom.dataset import write_phantom_store
from echoseg.training import checkpoint, loop
from echoseg.training.config_file import load_config

PAGE = 4096
_SETTINGS = "--width 2 --depth 2 --batch-size 4 --device cpu --precision float32 --landmarks 5".split()  # noqa: SIM905
_DIFFER = ("environment.json", "log.csv", checkpoint.STATE, checkpoint.PREVIOUS_STATE)  # they contain times


class Command(NamedTuple):
    """A command.

    Attributes:
        words: Its arguments, without the output folder at the end.
        resume: The arguments that resume it after a failure; None repeats `words`.
        differ: Names of files whose content differs each time.
    """

    words: list[str]
    resume: list[str] | None = None
    differ: tuple[str, ...] = ()


def try_mounts(work: Path, count: int | None) -> list[str]:
    """Run each command on disks of `count` sizes (default 20), a read-only disk and a disappearing one.

    Returns:
        Problems.
    """
    mount = work / "mount"
    mount.mkdir()
    with contextlib.suppress(OSError, subprocess.CalledProcessError), _disk(mount, PAGE):
        problems = []
        for name, command in _commands(work).items():
            counts, found = _try_sizes(command, mount, work, count or 20)
            print(f"{name} on small disks: {counts['full']} full, {counts['sufficient']} not; {len(found)} problems")
            found += (read_only := _try_read_only(command, mount))
            print(f"{name} on a read-only disk: {len(read_only)} problems")
            problems += [f"{name}: {problem}" for problem in found]
        for name, remove in (("renamed", _rename), ("unmounted", _unmount)):
            found = _try_removal(remove, mount, work)
            print(f"train, its folder {name} during training: {len(found)} problems")
            problems += [f"{name}: {problem}" for problem in found]
        print(*problems, sep="\n", end="\n" if problems else "", flush=True)
        return problems
    print("mounts: skipped, this process cannot mount file systems")
    return []


def _commands(work: Path) -> dict[str, Command]:
    data, store, videos, run = (str(work / f"inputs {name}") for name in ("data", "store", "videos", "run"))
    write_folder(Path(data))
    write_phantom_store(store, patients=8, workers=1)
    Path(videos).mkdir()
    for name in "abc":
        write_video(Path(videos, f"{name}.avi"), frames=6)
    train = ["train", "--data", store, *_SETTINGS, "--epochs", "2", "--out"]
    _run([*train, run])
    predict = ["predict", run, videos, "--keep", "masks", "overlay", "gif", "frames", "--device", "cpu"]
    return {
        "train": Command(train, ["train", "--resume", "--out"], _DIFFER),
        "prepare": Command(["prepare", data, "--out"]),
        "predict": Command([*predict, "--out"], [*predict, "--resume", "--out"], ("manifest-0.jsonl",)),
        "evaluate": Command(["evaluate", run, "--device", "cpu", "--out"]),
        "check": Command(["check", data, "--out"]),
        "phantom": Command(["phantom", "--videos", "3"]),
        "export": Command(["export", run, "--format", "huggingface", "--out"]),
    }


def _try_sizes(command: Command, mount: Path, work: Path, count: int) -> tuple[Counter[str], list[str]]:
    counts, problems = Counter[str](), []
    expected = work / "expected"
    shutil.rmtree(expected, ignore_errors=True)
    _run([*command.words, str(expected)])
    needed = sum(-(-path.stat().st_size // PAGE) + 1 for path in expected.rglob("*")) + 4
    for step in range(count):
        pages = max(1, round(needed * 1.1 * (step + 1) / count))
        with _disk(mount, pages * PAGE):
            out = mount / "out"
            code, output = _run([*command.words, str(out)])
            counts["full" if code else "sufficient"] += 1
            found = _check_output(code, output, mount)
            found += [f"temporary file: {path}" for path in mount.rglob("*.part")]
            _mount("-o", f"remount,size={4 * needed * PAGE}", str(mount))
            if code:
                code, output = _run([*(command.resume if command.resume and out.exists() else command.words), str(out)])
                found += [f"with more space: {output}"] if code else []
            found += _differences(out, expected, command.differ)
        problems += [f"{pages} of {needed} pages: {problem}" for problem in found]
    return counts, problems


def _try_read_only(command: Command, mount: Path) -> list[str]:
    with _disk(mount, 64 * PAGE):
        _mount("-o", "remount,ro", str(mount))
        code, output = _run([*command.words, str(mount / "out")])
    return _check_output(code, output, mount) if code else ["written to a read-only disk"]


def _try_removal(remove: Callable[[Path], Callable[[], None]], mount: Path, work: Path) -> list[str]:
    """Remove the folder of a run during training, and restore it when training has failed."""
    problems, steps, step, restore = [], [], loop._Trainer._step, []
    (work / "bound").mkdir(exist_ok=True)
    shutil.rmtree(work / "bound" / "out", ignore_errors=True)
    _mount("--bind", str(work / "bound"), str(mount))
    out = mount / "out"

    def step_and_remove(trainer, *arguments):
        steps.append(1)
        if len(steps) == 5:
            restore.append(remove(out))
        return step(trainer, *arguments)

    command = _train_command(work)
    loop._Trainer._step = step_and_remove
    try:
        code, output = _run([*command.words, str(out)])
    finally:
        loop._Trainer._step = step
    problems += _check_output(code, output, mount) if code else ["the removal was not detected"]
    restore[0]()
    state = checkpoint.load_state(out)[0]
    problems += [] if state["progress"]["epoch"] == 1 else [f"state of epoch {state['progress']['epoch']}"]
    load_config(out / checkpoint.CONFIG)
    code, output = _run([*command.resume, str(out)])
    problems += [f"after resuming: {output}"] if code else _differences(out, work / "expected train", command.differ)
    subprocess.run(["umount", "-l", str(mount)], check=True)
    return problems


def _train_command(work: Path) -> Command:
    """A training; its result without a failure is in `expected train`."""
    store = str(work / "inputs store")
    words = ["train", "--data", store, *_SETTINGS, "--epochs", "3", "--out"]
    if not (work / "expected train").exists():
        _run([*words, str(work / "expected train")])
    return Command(words, ["train", "--resume", "--out"], _DIFFER)


def _rename(out: Path) -> Callable[[], None]:
    renamed = out.with_name("renamed")
    out.rename(renamed)
    return lambda: renamed.rename(out)


def _unmount(out: Path) -> Callable[[], None]:
    bound = out.parent.parent / "bound"
    subprocess.run(["umount", "-l", str(out.parent)], check=True)
    return lambda: _mount("--bind", str(bound), str(out.parent))


def _run(words: list[str]) -> tuple[int, str]:
    """The exit code of a command, and what it prints to stderr except the line for each epoch."""
    output = io.StringIO()
    with contextlib.redirect_stderr(output), contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    return code, "".join(line for line in output.getvalue().splitlines(True) if not line.startswith("epoch "))


def _check_output(code: int, output: str, mount: Path) -> list[str]:
    lines = [line for line in output.splitlines() if line.startswith("echoseg: ")]
    valid = output == "" if code == 0 else code == 1 and len(lines) == 1 and str(mount) in lines[0]
    return [] if valid and ".part" not in output else [f"exit code {code}, {output!r}"]


def _differences(out: Path, expected: Path, differ: tuple[str, ...]) -> list[str]:
    """Files that differ from those on a sufficiently large disk."""
    names = [{p.relative_to(top).as_posix() for p in top.rglob("*") if p.is_file()} for top in (out, expected)]
    problems = [f"only on one disk: {name}" for name in names[0] ^ names[1] if "previous" not in name]
    return problems + [
        f"content differs: {name}"
        for name in names[0] & names[1]
        if Path(name).name not in differ and (out / name).read_bytes() != (expected / name).read_bytes()
    ]


@contextlib.contextmanager
def _disk(mount: Path, size: int) -> Iterator[None]:
    _mount("-t", "tmpfs", "-o", f"size={size}", "echoseg-faults", str(mount))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, stderr=subprocess.DEVNULL)
