"""Runs the commands in unusual environments: offline, as another user, in a read-only installation, and so on.

In each environment one process runs init, check, prepare, train, evaluate, predict, report, export and info on a small
data set whose names contain spaces and non-ASCII letters. All commands must succeed without warnings, and write all
results. Network connections fail in all environments. Linux only; an environment that is not available (`unshare`,
`setpriv` need root) is skipped.

Run `python tests/stress/environments.py`. It prints a line for each environment, and exits with 1 if one failed.
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
PROGRAM = """
import json, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise OSError(f"network access: {event} {arguments[-1]}")

sys.addaudithook(refuse)
from echoseg.cli import main
codes = [main(command) for command in json.loads(sys.argv[1])]
open(sys.argv[2], "w").write(json.dumps(codes))
"""
TINY = ["--size", "32", "32", "--width", "4", "--depth", "2", "--epochs", "1", "--device", "cpu"]
NO_CAPABILITIES = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]  # permissions apply to root too


class Environment(NamedTuple):
    """An environment to run in.

    Attributes:
        prefix: The command that starts Python.
        variables: Environment variables that differ; "{work}" is the folder of the stress test.
        unicode: Whether names contain non-ASCII letters.
        writable: Whether the working directory is writable.
    """

    prefix: Sequence[str] = ()
    variables: Mapping[str, str] = MappingProxyType({})
    unicode: bool = True
    writable: bool = True


OTHER_USER = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
ENVIRONMENTS = {
    "plain": Environment(unicode=False),
    "Unicode names": Environment(),
    "offline": Environment(["unshare", "--map-root-user", "--net"]),
    "C locale": Environment(variables={"LC_ALL": "C"}),
    "no UTF-8": Environment(variables={"LC_ALL": "C", "PYTHONUTF8": "0"}, unicode=False),
    "no home": Environment(variables={"HOME": "/dev/null"}),
    "read-only home": Environment(NO_CAPABILITIES, {"HOME": "{work}/locked"}),
    "another user": Environment(OTHER_USER, {"HOME": "/nonexistent"}),
    "read-only installation": Environment(NO_CAPABILITIES, {"PYTHONPATH": "{work}/installed"}),
    "read-only working directory": Environment(NO_CAPABILITIES, writable=False),
    "umask 077": Environment(["sh", "-c", 'umask 077; exec "$@"', "sh"]),
    "all streams closed": Environment(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]),
    "40 columns": Environment(variables={"COLUMNS": "40", "TERM": "dumb"}),
    "unusual time zone": Environment(variables={"TZ": "Pacific/Chatham"}),
}
RESULTS = ["new/README.md", "check/check.html", "store/manifest.json", "run/metrics.json", "evaluated/images_all.csv"]
RESULTS += ["predicted/results.csv", "report.html", "hub/README.md"]


def commands(data: Path, out: Path) -> list[list[str]]:
    """The commands to run."""
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


def try_environment(work: Path, name: str) -> list[str]:
    """Run the commands in an environment; returns the failures."""
    chosen = ENVIRONMENTS[name]
    suffix = "Ünï cödé 心 'q' $(x)" if chosen.unicode else "plain"
    folder = work / f"{name} {suffix}"
    current, out = folder / "current", folder / "out"
    data = write_folder(folder / f"data {suffix}", names=("a", "b é" if chosen.unicode else "b", "c d"))
    for path in (current, out):
        path.mkdir()
    for path in (work, folder, out):
        path.chmod(0o777)
    current.chmod(0o777 if chosen.writable else 0o555)
    _make_read_only(work)
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    variables |= {"PYTHONPATH": str(PACKAGE.parent)}
    variables |= {key: value.format(work=work) for key, value in chosen.variables.items()}
    variables["PYTHONPATH"] += os.pathsep + os.environ.get("PYTHONPATH", "")
    codes_file = out / "codes.json"
    command = [*chosen.prefix, sys.executable, "-c", PROGRAM, json.dumps(commands(data, out)), str(codes_file)]
    finished = subprocess.run(command, cwd=current, env=variables, capture_output=True, text=True, check=False)
    output = finished.stdout + finished.stderr
    codes = json.loads(codes_file.read_text()) if codes_file.exists() else [f"exit {finished.returncode}"]
    failures = [f"codes {codes}: {output[-500:]}"] if any(codes) else []
    failures += [f"{path} is missing" for path in RESULTS if not (out / path).exists()]
    failures += [f"printed {word!r}: {output}" for word in ("Traceback", "Warning") if word in output]
    if "COLUMNS" in variables:
        rows = (line for line in output.splitlines() if "  " in line.strip())
        failures += [f"table too wide: {row}" for row in rows if len(row) > int(variables["COLUMNS"])]
    return failures


def _make_read_only(work: Path) -> None:
    """Make a read-only home folder and a read-only installation."""
    locked = work / "locked"
    if not locked.exists():
        locked.mkdir(mode=0o555)
        shutil.copytree(PACKAGE, work / "installed/echoseg", ignore=shutil.ignore_patterns("__pycache__"))
        for path in [*(work / "installed").rglob("*"), work / "installed"]:
            path.chmod(0o555 if path.is_dir() else 0o444)


def find_obstacle(name: str) -> str:
    """Why an environment is not available on this machine; "" if it is."""
    prefix = ENVIRONMENTS[name].prefix
    if prefix and prefix[0] in ("setpriv", "unshare"):
        command = [*prefix, "sh", "-c", 'exec "$@"', "sh", sys.executable, "-c", "import numpy"]
        try:
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return f"{prefix[0]} is not installed"
        if finished.returncode:
            return f"{prefix[0]} cannot start this Python: {finished.stderr.strip()[-100:]}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ENVIRONMENTS, default=list(ENVIRONMENTS))
    arguments = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            if obstacle := find_obstacle(name):
                print(f"{name}: skipped, {obstacle}", flush=True)
                continue
            failures = try_environment(Path(folder), name)
            failed += bool(failures)
            print(f"{name}: {'; '.join(failures) or 'passed'}", flush=True)
    print(f"{len(arguments.only)} environments, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
