"""Every command in odd places: offline, as another user, in a read-only install, in a narrow terminal, and so on.

In each place one process runs init, check, prepare, train, evaluate, predict, report, export and info on a tiny data
set whose names hold spaces and letters beyond ASCII. All must end with 0, warn of nothing, and leave every result. Any
attempt to reach the network fails everywhere. Linux alone; a place that cannot be had (`unshare`, `setpriv` as root) is
skipped.

Run it: `python tests/stress/places.py`. It prints a line a place, and exits with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import echoseg
from _folders import write_folder

PACKAGE = Path(echoseg.__file__).parent
CHAIN = """
import json, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise OSError(f"the network was asked for: {event} {arguments[-1]}")

sys.addaudithook(refuse)
from echoseg.cli import main
codes = [main(command) for command in json.loads(sys.argv[1])]
open(sys.argv[2], "w").write(json.dumps(codes))
"""
TINY = ["--size", "32", "32", "--width", "4", "--depth", "2", "--epochs", "1", "--device", "cpu"]
POWERLESS = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]  # root, for whom rights count as for others


class Place(NamedTuple):
    """Where to run.

    Attributes:
        before: what starts the command.
        environment: what differs from the plain one; "{place}" is a folder of the sweep's.
        letters: whether names hold some beyond ASCII.
        writable: whether the working folder is.
    """

    before: Sequence[str] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    letters: bool = True
    writable: bool = True


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
PLACES = {
    "plain": Place(letters=False),
    "odd names": Place(),
    "offline": Place(["unshare", "--map-root-user", "--net"]),
    "C locale": Place(environment={"LC_ALL": "C"}),
    "no UTF-8": Place(environment={"LC_ALL": "C", "PYTHONUTF8": "0"}, letters=False),
    "no home": Place(environment={"HOME": "/dev/null"}),
    "home without rights": Place(POWERLESS, {"HOME": "{place}/locked"}),
    "another user": Place(NOBODY, {"HOME": "/nonexistent"}),
    "read-only install": Place(POWERLESS, {"PYTHONPATH": "{place}/installed"}),
    "read-only working folder": Place(POWERLESS, writable=False),
    "umask 077": Place(["sh", "-c", 'umask 077; exec "$@"', "sh"]),
    "all streams closed": Place(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]),
    "40 columns": Place(environment={"COLUMNS": "40", "TERM": "dumb"}),
    "odd time zone": Place(environment={"TZ": "Pacific/Chatham"}),
}
RESULTS = ["new/README.md", "check/check.html", "store/manifest.json", "run/metrics.json", "evaluated/images_all.csv"]
RESULTS += ["predicted/results.csv", "report.html", "hub/README.md"]


def commands(data: Path, out: Path) -> list[list[str]]:
    """What is run."""
    run = out / "run"
    chain = [
        ["init", out / "new", "--layout", "echonet"],
        ["check", data, "--out", out / "check"],
        ["prepare", data, "--out", out / "store"],
        ["train", "--approach", "landmark", "--landmarks", "5", "--data", data, "--out", run, *TINY],
        ["evaluate", run, "--split", "all", "--out", out / "evaluated"],
        ["predict", run, data / "Videos", "--out", out / "predicted", "--keep", "masks", "overlay", "gif", "frames"],
        ["report", run, "--out", out / "report.html"],
        ["export", run, "--format", "huggingface", "--out", out / "hub"],
        ["info"],
    ]
    return [[str(word) for word in command] for command in chain]


def try_place(place: Path, name: str) -> list[str]:
    """What is wrong there."""
    chosen = PLACES[name]
    odd = "Ünï cödé 心 'q' $(x)" if chosen.letters else "plain"
    folder = place / f"{name} {odd}"
    here, out = folder / "here", folder / "out"
    data = write_folder(folder / f"data {odd}", names=("a", "b é" if chosen.letters else "b", "c d"))
    for path in (here, out):
        path.mkdir()
    for path in (place, folder, out):
        path.chmod(0o777)
    here.chmod(0o777 if chosen.writable else 0o555)
    _lock(place)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": str(PACKAGE.parent)}
    environment |= {key: value.format(place=place) for key, value in chosen.environment.items()}
    environment["PYTHONPATH"] += os.pathsep + os.environ.get("PYTHONPATH", "")
    told = out / "codes.json"
    chain = [*chosen.before, sys.executable, "-c", CHAIN, json.dumps(commands(data, out)), str(told)]
    done = subprocess.run(chain, cwd=here, env=environment, capture_output=True, text=True, check=False)
    printed = done.stdout + done.stderr
    codes = json.loads(told.read_text()) if told.exists() else [f"exit {done.returncode}"]
    wrong = [f"codes {codes}: {printed[-500:]}"] if any(codes) else []
    wrong += [f"{path} is missing" for path in RESULTS if not (out / path).exists()]
    wrong += [f"printed {word!r}: {printed}" for word in ("Traceback", "Warning") if word in printed]
    if "COLUMNS" in environment:
        rows = (line for line in printed.splitlines() if "  " in line.strip())
        wrong += [f"too wide a table: {row}" for row in rows if len(row) > int(environment["COLUMNS"])]
    return wrong


def _lock(place: Path) -> None:
    """A home that cannot be written to, and an install that cannot."""
    locked = place / "locked"
    if not locked.exists():
        locked.mkdir(mode=0o555)
        shutil.copytree(PACKAGE, place / "installed/echoseg", ignore=shutil.ignore_patterns("__pycache__"))
        for path in [*(place / "installed").rglob("*"), place / "installed"]:
            path.chmod(0o555 if path.is_dir() else 0o444)


def why_not(name: str) -> str:
    """Why a place cannot be tried here; "" if it can."""
    before = PLACES[name].before
    if before and before[0] in ("setpriv", "unshare"):
        trial = [*before, "sh", "-c", 'exec "$@"', "sh", sys.executable, "-c", "import numpy"]
        try:
            done = subprocess.run(trial, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return f"no {before[0]} here"
        if done.returncode:
            return f"{before[0]} cannot start this Python: {done.stderr.strip()[-100:]}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PLACES, default=list(PLACES))
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            if reason := why_not(name):
                print(f"{name}: skipped, {reason}", flush=True)
                continue
            wrong = try_place(Path(folder), name)
            failed += bool(wrong)
            print(f"{name}: {'; '.join(wrong) or 'good'}", flush=True)
    print(f"{len(arguments.only)} places, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
