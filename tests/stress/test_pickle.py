"""No file can run code: every file that the package reads is replaced by malicious pickles and similar content."""

from __future__ import annotations

import ast
import builtins
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import echoseg
from _folders import write_folder
from _reviewing import CODEC
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.store import open_store
from echoseg.errors import DataError
from echoseg.inference.archive import finished_rows
from echoseg.inference.predictor import OPTIONAL_FILES, load
from echoseg.io.reading import read_clip
from echoseg.phantom.dataset import write_phantom_store
from echoseg.report.run_summary import read_run_summary
from echoseg.review.corrections_folder import CorrectionsFolder
from echoseg.review.handles import drawing_of
from echoseg.training import checkpoint
from echoseg.training.config import Config
from echoseg.training.config_file import load_config
from echoseg.utils.checksum import add_checksum
from echoseg.utils.files import hash_file

SENTINEL = Path("executed")  # created in the folder of the test by code that is executed
CODE = f"open({str(SENTINEL)!r}, 'w').close()"


class CallOnUnpickle:
    """An object that calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], argument: str) -> None:
        self.call = function, (argument,)

    def __reduce__(self):
        return self.call


SYSTEM, EXEC = CallOnUnpickle(os.system, f"touch {SENTINEL}"), CallOnUnpickle(builtins.exec, CODE)


def to_bytes(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def write_zip(members: dict[str, bytes]) -> bytes:
    def write(file):
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return to_bytes(write)


def write_tar(name: str, content: bytes) -> bytes:
    def write(file):
        with tarfile.open(fileobj=file, mode="w") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))

    return to_bytes(write)


def write_safetensors(header: object, size: int = 16, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(size)


def entry(start: int, stop: int, kind: str = "F32", shape: tuple[int, ...] = (2,)) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, stop]}


def yaml_bomb(names: list[str]) -> bytes:
    """Return a YAML file of nested lists, 9^20 words in total, as the values of existing settings."""
    lines = [f"{names[1]}: &{names[1]} [x, x]"]
    lines += [f"{name}: &{name} [{', '.join(9 * [f'*{before}'])}]" for before, name in pairwise(names[1:21])]
    return "\n".join([*lines, f"{names[0]}: *{names[20]}"]).encode()


def malicious_contents() -> dict[str, bytes]:
    objects = np.array([SYSTEM, EXEC], dtype=object)
    state = {"model": torch.zeros(2), "progress": EXEC}
    return {
        **{f"system, protocol {n}": pickle.dumps(SYSTEM, n) for n in range(6)},
        **{f"exec, protocol {n}": pickle.dumps(EXEC, n) for n in range(6)},
        "within a state": pickle.dumps({"model": {}, "optimizer": [1, (2, SYSTEM)]}),
        "torch": to_bytes(lambda file: torch.save(state, file)),
        "torch, legacy": to_bytes(lambda file: torch.save(state, file, _use_new_zipfile_serialization=False)),
        "torch, written with zipfile": write_zip({"archive/data.pkl": pickle.dumps(EXEC), "archive/version": b"3\n"}),
        "torch, tar": write_tar("pickle", pickle.dumps(EXEC)),
        "torch script": write_zip(
            {"archive/data.pkl": pickle.dumps(EXEC), "archive/constants.pkl": pickle.dumps(SYSTEM)}
        ),
        "npy": to_bytes(lambda file: np.save(file, objects, allow_pickle=True)),
        "npz": to_bytes(lambda file: np.savez(file, frames=objects, points=objects, allow_pickle=True)),
        "npy, header": b"\x93NUMPY\x01\x00\x76\x00" + f"{{'descr': {CODE}, 'shape': ()}}".encode().ljust(118),
        "joblib": zlib.compress(pickle.dumps(EXEC)),
        "gzip": gzip.compress(pickle.dumps(EXEC)),
        "pandas": pickle.dumps({"FileName": pd.Series(["a"]), "X": EXEC}),
        "yaml, apply": f"!!python/object/apply:os.system ['touch {SENTINEL}']\n".encode(),
        "yaml, new": f"epochs: !!python/object/new:exec [{json.dumps(CODE)}]\n".encode(),
        "yaml, module": b"approach: !!python/module:this\n",
        "yaml, aliases": yaml_bomb(list(Config().values())),
        "yaml, deep": b"[" * 50_000,
        "json, deep": b'{"a":' * 50_000,
        "json, long": b'{"format": ' + b"9" * 100_000 + b"}",
        "yaml, invalid date": b"data: 2020-13-45\n",
        "yaml, NUL in a path": b'data: "a\\0b"\n',
        "code": CODE.encode(),
        "template": f"{{{{ ''.__class__.__mro__ }}}}{{% {CODE} %}}".encode(),
        "formula": f"FileName,X,Y,Frame\n=cmd|'/c touch {SENTINEL}'!A1,1,1,1\n".encode(),
        "safetensors, overlap": write_safetensors({"a": entry(0, 8), "b": entry(4, 12)}),
        "safetensors, beyond the end": write_safetensors({"a": entry(0, 1 << 40, shape=(1 << 38,))}),
        "safetensors, overflowing shape": write_safetensors({"a": entry(0, 8, shape=(1 << 62, 1 << 62))}),
        "safetensors, backwards": write_safetensors({"a": entry(8, 0)}),
        "safetensors, long header": write_safetensors({}, length=200 << 20),
        "safetensors, huge header": write_safetensors({}, length=(1 << 64) - 1),
        "safetensors, deep metadata": write_safetensors(
            {"__metadata__": {"echoseg": "[" * 50_000}, "a": entry(0, 8)}, 8
        ),
        "safetensors, invalid metadata": write_safetensors(
            {"__metadata__": {"echoseg": '{"settings": 3, "sha256": []}'}, "a": entry(0, 8)}, 8
        ),
        "empty": b"",
    }


CONTENTS = malicious_contents()


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory):
    """A folder with a valid file of each kind that the package reads."""
    folder = tmp_path_factory.mktemp("pickles")
    write_phantom_store(folder / "store", patients=3, workers=1)
    run = folder / "run"
    run.mkdir()
    config = Config(approach="mask", size=(32, 32), width=2, depth=2, device="cpu")
    config.save(run / checkpoint.CONFIG)
    torch.manual_seed(0)
    model = checkpoint.build(config)[0]
    checkpoint.save_weights(run / checkpoint.BEST, model, config)
    for name in (*OPTIONAL_FILES, "metrics.json", "environment.json"):
        (run / name).write_text("{}", encoding="utf-8")
    checkpoint.save_state(run, {"model": model.state_dict()})
    write_folder(folder / "data")
    (folder / "corrections").mkdir()
    (folder / "out").mkdir()
    return folder


def read_archive(folder: Path) -> None:
    if not finished_rows(folder):
        raise DataError("no valid line")  # of a damaged manifest: its files are predicted again


def open_corrections(folder: Path) -> None:
    CorrectionsFolder(folder, drawing_of(CODEC), kind="chords").close()
    raise DataError("no corrections")  # of an empty table


def append_hash(content: bytes) -> bytes:
    return content + b"echoseg-sha256:" + hashlib.sha256(content).hexdigest().encode()


def update_hashes(store: Path) -> None:
    """Write the hashes of the present files to the manifest of a store."""
    manifest = json.loads((store / "manifest.json").read_text(encoding="utf-8"))
    del manifest["checksum"]
    manifest["sha256"] = {name: hash_file(store / name) for name in manifest["sha256"]}
    (store / "manifest.json").write_text(json.dumps(add_checksum(manifest)), encoding="utf-8")


READERS: dict[str, Callable[[Path], object]] = {
    **dict.fromkeys(("frames.npy", "points.npy", "offsets.npy", "samples.csv"), lambda path: open_store(path.parent)),
    "manifest.json": lambda path: open_store(path.parent),
    "config.yaml": load_config,
    "model.safetensors": lambda path: load(path.parent, device="cpu"),
    **dict.fromkeys(OPTIONAL_FILES, lambda path: load(path.parent, device="cpu")),
    "metrics.json": lambda path: read_run_summary(path.parent),
    "environment.json": lambda path: read_run_summary(path.parent),
    "images_test.csv": lambda path: read_run_summary(path.parent).table(path.name),
    "training_state.pt": lambda path: checkpoint.load_state(path.parent),
    "FileList.csv": lambda path: read_dataset(path.parent),
    "VolumeTracings.csv": lambda path: read_dataset(path.parent),
    **dict.fromkeys(("a.avi", "a.nii", "a.nii.gz", "a.dcm", "a.mha", "a.png"), read_clip),
    "Landmarks.csv": lambda path: open_corrections(path.parent),
    "sha256.json": lambda path: open_corrections(path.parent),
    "manifest-0.jsonl": lambda path: read_archive(path.parent),
}
FOLDERS = {
    "store": ("frames.npy", "points.npy", "offsets.npy", "samples.csv", "manifest.json"),
    "run": (
        *("config.yaml", "model.safetensors", *OPTIONAL_FILES, "metrics.json", "environment.json"),
        *("images_test.csv", "training_state.pt"),
    ),
    "data": ("FileList.csv", "VolumeTracings.csv"),
    "data/Videos": ("a.avi", "a.nii", "a.nii.gz", "a.dcm", "a.mha", "a.png"),
    "corrections": ("Landmarks.csv", "sha256.json"),
    "out": ("manifest-0.jsonl",),
}
HARMLESS = {
    ("VolumeTracings.csv", "formula"),  # a valid table
    ("config.yaml", "empty"),  # the defaults
    *(("images_test.csv", kind) for kind in CONTENTS),  # any text is a table
}


def read_problem(read: Callable[[Path], object], path: Path) -> str:
    """Read a file and describe the problem; "" if it raises a DataError of one short line, "read" if it raises none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read(path)
        except DataError as error:
            return "" if "\n" not in str(error) and len(str(error)) < 2000 else str(error)[:300]
        except BaseException as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
    return "read"


@pytest.mark.parametrize(
    "folder",
    [pytest.param(name, marks=[pytest.mark.slow, pytest.mark.stress]) if name == "run" else name for name in FOLDERS],
)
def test_no_file_runs_code(valid_files, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(valid_files, tmp_path / "files", dirs_exist_ok=True)
    problems = []
    for name in FOLDERS[folder]:
        path = tmp_path / "files" / folder / name
        valid = path.read_bytes() if path.exists() else None
        for kind, content in CONTENTS.items():
            for hashed in (False, True) if name.endswith((".npy", ".pt")) or name == "samples.csv" else (False,):
                path.write_bytes(append_hash(content) if hashed and path.suffix == ".pt" else content)
                if hashed and folder == "store":
                    update_hashes(path.parent)
                problem = read_problem(READERS[name], path)
                if problem and not (problem == "read" and (name, kind) in HARMLESS):
                    problems.append(f"{name}, {kind}, {'with' if hashed else 'without'} a valid hash: {problem}")
                assert not SENTINEL.exists(), f"{name}: code of {kind} was executed"
        path.unlink() if valid is None else path.write_bytes(valid)
        if folder == "store":
            update_hashes(path.parent)
    assert not problems, "\n".join(problems)


def test_the_malicious_contents_run_code_in_unsafe_readers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(CONTENTS["exec, protocol 2"])
    assert SENTINEL.exists()
    for kind in ("torch", "torch, legacy", "torch, written with zipfile"):
        SENTINEL.unlink()
        torch.load(io.BytesIO(CONTENTS[kind]), weights_only=False)
        assert SENTINEL.exists(), kind


# ---- the package's source code

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile", "__import__", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system"}
CALLS |= {"pd.read_pickle", "os.popen", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"}
REQUIRED = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False)}


def find_unsafe(text: str) -> list[str]:
    """Return the imports and calls of a source text that can execute the content of files."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in MODULES]
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(str(node.module))
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            keyword, value = REQUIRED.get(name, ("", None))
            if name in CALLS or given.get("shell") == "True" or (keyword and given.get(keyword) != str(value)):
                found.append(ast.unparse(node))
    return found


def test_the_package_has_no_unsafe_imports_or_calls():
    for path in Path(echoseg.__file__).parent.rglob("*.py"):
        assert find_unsafe(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    "text",
    [
        *("import pickle", "from joblib import load", "eval(x)", "yaml.load(x)", "subprocess.run(x, shell=True)"),
        *("torch.load(x)", "torch.load(x, weights_only=False)", "np.load(x)", "np.load(x, allow_pickle=True)"),
    ],
)
def test_unsafe_imports_and_calls_are_found(text):
    assert find_unsafe(text)
    assert not find_unsafe("torch.load(x, weights_only=True); np.load(x, allow_pickle=False); yaml.safe_load(x)")
