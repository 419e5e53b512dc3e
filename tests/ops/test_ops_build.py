from __future__ import annotations

import ast
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import echoseg
from echoseg import _core, ops


def test_the_stub_agrees_with_the_module():
    stub = ast.parse(Path(echoseg.__file__).with_name("_core.pyi").read_text())
    functions = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node.body[0] for node in stub.body if isinstance(node, ast.ClassDef)}
    values = {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    hidden = {"__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__"}
    assert {*functions, *classes, *values} == set(dir(_core)) - hidden
    for name, node in (functions | classes).items():
        native = getattr(_core, name)
        signature = (native.__init__ if name in classes else native).__doc__.splitlines()[0]
        assert re.findall(r"(\w+): ", signature.partition(" ->")[0]) == [a.arg for a in node.args.args], name


def test_the_package_is_marked_as_typed():
    assert Path(echoseg.__file__).with_name("py.typed").exists()


def test_build_info_is_complete():
    info = ops.build_info()
    assert info["simd_level"] in info["simd_levels"]
    assert info["simd_levels"][0] == "baseline"
    assert info["threads"] >= 1
    assert isinstance(info["cuda_built"], bool)
    if not info["cuda_built"]:
        assert info["cuda_devices"] == []
    try:
        assert info["version"] == version("echoseg")
    except PackageNotFoundError:
        pytest.skip("echoseg runs from its source folder")


@pytest.mark.cuda
def test_cuda_devices_are_named():
    if not ops.build_info()["cuda_built"]:
        pytest.skip("built without CUDA")
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert ops.build_info()["cuda_devices"][0] == torch.cuda.get_device_name(0)
