"""The commands on real disks that are too small, read-only, or gone in mid-work. Mounting wants root on Linux."""

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
from echoseg.training.config import load_config

PAGE = 4096
_SETTINGS = "--width 2 --depth 2 --batch-size 4 --device cpu --precision float32 --landmarks 5".split()  # noqa: SIM905
_DIFFER = ("environment.json", "log.csv", checkpoint.STATE, checkpoint.PREVIOUS_STATE)  # they hold times


class Command(NamedTuple):
    """A command that writes to OUT, what it wants to go on after a failure, and files that differ each time."""

    words: list[str]
    again: list[str] | None = None
    differ: tuple[str, ...] = ()


def sweep_mounts(place: Path, count: int | None) -> list[str]:
    """Run each command on so many sizes of disk (20), on a read-only one, and on one that vanishes. Gives faults."""
    mount = place / "mount"
    mount.mkdir()
    with contextlib.suppress(OSError, subprocess.CalledProcessError), _disk(mount, PAGE):
        every = []
        for name, command in _commands(place).items():
            counts, faults = _sweep_sizes(command, mount, place, count or 20)
            print(f"{name} on small disks: {counts['full']} too full, {counts['fit']} not; {len(faults)} wrong")
            faults += (found := _read_only(command, mount))
            print(f"{name} on a read-only disk: {len(found)} wrong")
            every += [f"{name}: {fault}" for fault in faults]
        for name, vanish in (("renamed", _renamed), ("unmounted", _unmounted)):
            faults = _sweep_vanishing(vanish, mount, place)
            print(f"train, its folder {name} in mid-work: {len(faults)} wrong")
            every += [f"{name}: {fault}" for fault in faults]
        print(*every, sep="\n", end="\n" if every else "", flush=True)
        return every
    print("disks: skipped, this process may not mount any")
    return []


def _commands(place: Path) -> dict[str, Command]:
    data, store, videos, run = (str(place / f"of commands {name}") for name in ("data", "store", "videos", "run"))
    write_folder(Path(data))
    write_phantom_store(store, patients=8, workers=1)
    Path(videos).mkdir()
    for name in "abc":
        write_video(Path(videos, f"{name}.avi"), frames=6)
    train = ["train", "--data", store, *_SETTINGS, "--epochs", "2", "--out"]
    _say([*train, run])
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


def _sweep_sizes(command: Command, mount: Path, place: Path, count: int) -> tuple[Counter[str], list[str]]:
    counts, faults = Counter[str](), []
    whole = place / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    _say([*command.words, str(whole)])
    needed = sum(-(-path.stat().st_size // PAGE) + 1 for path in whole.rglob("*")) + 4
    for step in range(count):
        pages = max(1, round(needed * 1.1 * (step + 1) / count))
        with _disk(mount, pages * PAGE):
            out = mount / "out"
            code, said = _say([*command.words, str(out)])
            counts["full" if code else "fit"] += 1
            found = _wrong_words(code, said, mount)
            found += [f"left behind: {path}" for path in mount.rglob("*.part")]
            _mount("-o", f"remount,size={4 * needed * PAGE}", str(mount))
            if code:
                code, said = _say([*(command.again if command.again and out.exists() else command.words), str(out)])
                found += [f"with more space: {said}"] if code else []
            found += _differences(out, whole, command.differ)
        faults += [f"{pages} of {needed} pages: {fault}" for fault in found]
    return counts, faults


def _read_only(command: Command, mount: Path) -> list[str]:
    with _disk(mount, 64 * PAGE):
        _mount("-o", "remount,ro", str(mount))
        code, said = _say([*command.words, str(mount / "out")])
    return _wrong_words(code, said, mount) if code else ["written to a read-only disk"]


def _sweep_vanishing(vanish: Callable[[Path], Callable[[], None]], mount: Path, place: Path) -> list[str]:
    """Let the folder of a run vanish after its third step, and come back when training has failed."""
    faults, steps, step, back = [], [], loop._Trainer._step, []
    (place / "real").mkdir(exist_ok=True)
    shutil.rmtree(place / "real" / "out", ignore_errors=True)
    _mount("--bind", str(place / "real"), str(mount))
    out = mount / "out"

    def step_and_vanish(trainer, *arguments):
        steps.append(1)
        if len(steps) == 5:
            back.append(vanish(out))
        return step(trainer, *arguments)

    command = _commands_again(place)
    loop._Trainer._step = step_and_vanish
    try:
        code, said = _say([*command.words, str(out)])
    finally:
        loop._Trainer._step = step
    faults += _wrong_words(code, said, mount) if code else ["nobody noticed"]
    back[0]()
    state = checkpoint.load_state(out)[0]
    faults += [] if state["progress"]["epoch"] == 1 else [f"state of epoch {state['progress']['epoch']}"]
    load_config(out / checkpoint.CONFIG)
    code, said = _say([*command.again, str(out)])
    faults += [f"back again: {said}"] if code else _differences(out, place / "whole train", command.differ)
    subprocess.run(["umount", "-l", str(mount)], check=True)
    return faults


def _commands_again(place: Path) -> Command:
    """Of training; with what it leaves undisturbed in ``whole train``."""
    store = str(place / "of commands store")
    words = ["train", "--data", store, *_SETTINGS, "--epochs", "3", "--out"]
    if not (place / "whole train").exists():
        _say([*words, str(place / "whole train")])
    return Command(words, ["train", "--resume", "--out"], _DIFFER)


def _renamed(out: Path) -> Callable[[], None]:
    away = out.with_name("away")
    out.rename(away)
    return lambda: away.rename(out)


def _unmounted(out: Path) -> Callable[[], None]:
    real = out.parent.parent / "real"
    subprocess.run(["umount", "-l", str(out.parent)], check=True)
    return lambda: _mount("--bind", str(real), str(out.parent))


def _say(words: list[str]) -> tuple[int, str]:
    """Exit code of a command, and what it prints to stderr but the training's line for each epoch."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    return code, "".join(line for line in said.getvalue().splitlines(True) if not line.startswith("epoch "))


def _wrong_words(code: int, said: str, mount: Path) -> list[str]:
    lines = [line for line in said.splitlines() if line.startswith("echoseg: ")]
    right = said == "" if code == 0 else code == 1 and len(lines) == 1 and str(mount) in lines[0]
    return [] if right and ".part" not in said else [f"exit code {code}, {said!r}"]


def _differences(out: Path, whole: Path, differ: tuple[str, ...]) -> list[str]:
    """Files that are not what they are on a disk that is large enough."""
    names = [{p.relative_to(top).as_posix() for p in top.rglob("*") if p.is_file()} for top in (out, whole)]
    odd = [f"only on one disk: {name}" for name in names[0] ^ names[1] if "previous" not in name]
    return odd + [
        f"another content: {name}"
        for name in names[0] & names[1]
        if Path(name).name not in differ and (out / name).read_bytes() != (whole / name).read_bytes()
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
