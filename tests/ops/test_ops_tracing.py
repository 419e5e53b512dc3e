"""Calls that torch must see go through torch operators; all others do not, and autograd still notices them."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from _operators import operators, to_torch
from echoseg import ops

SIZE = (16, 24)
CONTOURS = torch.rand(3, 8, 2, generator=torch.Generator().manual_seed(0)) * 16
EXPECTED = ops.fill_polygons(CONTOURS, SIZE)
OPERATORS = operators()
every_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


def fill(contours, out=None):
    return ops.fill_polygons(contours, SIZE, out=out)


class Dispatched(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        self.seen.append(str(function))
        return function(*arguments, **(keywords or {}))


class Called(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        self.seen.append(str(function))
        return function(*arguments, **(keywords or {}))


class Subclass(torch.Tensor):
    """A tensor whose operators are recorded."""

    seen: list[str] = []  # noqa: RUF012

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        cls.seen.append(str(function))
        return super().__torch_function__(function, types, arguments, keywords or {})


@every_operator
@pytest.mark.parametrize("mode", [Dispatched, Called])
def test_modes_see_every_operator(mode, operator):
    with mode() as active:
        results = operator.run(to_torch(operator.arrays), to_torch(operator.outs))
    assert [name for name in active.seen if "echoseg" in name] == [f"echoseg.{operator.call.__name__}.default"]
    for result, expected in zip(results, operator.run(), strict=True):
        np.testing.assert_array_equal(result, expected)


@every_operator
def test_modes_see_every_operator_that_allocates(operator):
    arrays = {name: array for name, array in operator.arrays.items() if name != "previous"}
    with FakeTensorMode() as fake:
        results = operator.call(
            **{name: fake.from_tensor(tensor) for name, tensor in to_torch(arrays).items()}, **operator.settings
        )
    expected = operator.call(**to_torch(arrays), **operator.settings)
    if isinstance(expected, torch.Tensor):
        results, expected = [results], [expected]
    for result, real in zip(results, expected, strict=True):
        assert isinstance(result, FakeTensor)
        assert (result.shape, result.dtype, result.device) == (real.shape, real.dtype, real.device)


@every_operator
@pytest.mark.parametrize("wrong", [lambda tensor: tensor.numpy(), lambda tensor: tensor.tolist()])
def test_modes_do_not_change_the_errors_of_types(wrong, operator):
    arrays, outs = to_torch(operator.arrays), to_torch(operator.outs)
    for name in [*list(arrays)[1:], *outs]:
        mixed = {key: wrong(tensor) if key == name else tensor for key, tensor in (arrays | outs).items()}
        parts = {key: mixed[key] for key in arrays}, {key: mixed[key] for key in outs}
        with pytest.raises(TypeError, match=f"{name} must be ") as expected:
            operator.run(*parts)
        with Dispatched(), pytest.raises(TypeError) as error:
            operator.run(*parts)
        assert str(error.value) == str(expected.value)


@pytest.mark.parametrize("offsets", [torch.zeros(0, dtype=torch.int64), torch.tensor(3)])
@pytest.mark.parametrize("draw", [ops.fill_polygons, ops.border_band_from_contours])
def test_modes_do_not_change_the_errors_of_offsets(draw, offsets):
    points = CONTOURS.reshape(-1, 2)
    with pytest.raises(ValueError, match="offsets must ") as expected:
        draw(points, SIZE, offsets=offsets)
    with Dispatched(), pytest.raises(ValueError, match="offsets must ") as error:
        draw(points, SIZE, offsets=offsets)
    assert str(error.value) == str(expected.value)


PREVIOUS_WITHOUT_OUT = {
    "render_heatmaps": lambda marks: ops.render_heatmaps(marks, SIZE, previous=marks),
    "render_targets": lambda marks: ops.render_targets(CONTOURS, marks, SIZE, previous=marks).heatmaps,
}


@pytest.mark.parametrize("draw", PREVIOUS_WITHOUT_OUT.values(), ids=PREVIOUS_WITHOUT_OUT)
def test_modes_require_out_for_previous(draw):
    for mode in (contextlib.nullcontext(), torch.device("cpu"), Dispatched(), Called()):
        with mode, pytest.raises(ValueError, match="previous requires out"):
            draw(CONTOURS)


@pytest.mark.slow
@pytest.mark.parametrize("draw", PREVIOUS_WITHOUT_OUT.values(), ids=PREVIOUS_WITHOUT_OUT)
def test_torch_compile_requires_out_for_previous(draw):
    with pytest.raises(ValueError, match="previous requires out"):
        torch.compile(draw, backend="eager")(CONTOURS)


@pytest.mark.parametrize("change", [lambda t: t, torch.nn.Parameter, lambda t: t.clone().requires_grad_()])
def test_plain_tensors_bypass_the_operators(monkeypatch, change):
    from echoseg.ops import _torch

    def forbidden(*arguments):
        raise AssertionError("an operator was called")

    monkeypatch.setattr(_torch, "OPERATORS", dict.fromkeys(_torch.OPERATORS, forbidden))
    assert torch.equal(fill(change(CONTOURS)), EXPECTED)
    with pytest.raises(AssertionError, match="an operator was called"):
        fill(CONTOURS.as_subclass(Subclass))


def test_subclasses():
    Subclass.seen.clear()
    result = fill(CONTOURS.as_subclass(Subclass))
    assert type(result) is torch.Tensor
    assert torch.equal(result, EXPECTED)
    assert Subclass.seen.count("echoseg.fill_polygons.default") == 1
    out = torch.zeros(3, *SIZE, dtype=torch.uint8).as_subclass(Subclass)
    assert fill(CONTOURS, out) is out
    assert Subclass.seen.count("echoseg.fill_polygons.default") == 2


@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx_records_the_operator(mode):
    graph = make_fx(lambda contours: fill(contours), tracing_mode=mode)(CONTOURS)
    assert [str(node.target) for node in graph.graph.nodes].count("echoseg.fill_polygons.default") == 1
    assert torch.equal(graph(CONTOURS), EXPECTED)


@pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and warns of traced shapes
def test_jit_trace_records_the_operator():
    traced = torch.jit.trace(fill, CONTOURS, check_trace=False)
    assert [node.kind() for node in traced.graph.nodes()].count("echoseg::fill_polygons") == 1
    moved = CONTOURS + 3
    assert torch.equal(traced(moved), fill(moved))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch
@pytest.mark.parametrize("strict", [True, False])
def test_export_records_the_operator(strict):
    class Module(torch.nn.Module):
        def forward(self, contours):
            return fill(contours)

    program = torch.export.export(Module(), (CONTOURS,), strict=strict)
    names = [str(node.target) for node in program.graph.nodes]
    assert names.count("echoseg.fill_polygons.default") == 1
    assert torch.equal(program.module()(CONTOURS), EXPECTED)


def test_transforms_of_functions():
    """vmap does not know the operators, and must not draw one image in place of all."""
    with pytest.raises(RuntimeError, match="Batching rule not implemented for echoseg::fill_polygons"):
        torch.vmap(lambda contour: fill(contour[None])[0])(CONTOURS)
    totals = torch.vmap(lambda number: fill(CONTOURS).sum() + number)(torch.zeros(2, dtype=torch.long))
    assert totals.tolist() == [EXPECTED.sum()] * 2
    with pytest.raises(RuntimeError, match="echoseg::fill_polygons"):
        torch.func.functionalize(fill)(CONTOURS)


@pytest.mark.slow
def test_errors_while_torch_compile_traces():
    compiled = torch.compile(fill, fullgraph=True, backend="eager")
    with pytest.raises(TypeError, match="points must be float32, not float64"):
        compiled(CONTOURS.double())
    with pytest.raises(ValueError, match="points must be finite"):
        compiled(CONTOURS * float("nan"))


@every_operator
def test_autograd_counts_every_write(operator):
    outs = to_torch(operator.outs)
    before = [out._version for out in outs.values()]
    arrays = to_torch(operator.arrays)
    operator.run(arrays, outs)
    assert [out._version for out in outs.values()] == [version + 1 for version in before]
    assert all(array._version == 0 for array in arrays.values())


def test_targets_saved_for_backward_must_not_be_overwritten():
    weights = torch.rand(3, 2, *SIZE, requires_grad=True)
    targets = ops.render_heatmaps(CONTOURS[:, :2].clone(), SIZE)
    loss = (weights * targets).sum()
    ops.render_heatmaps(CONTOURS[:, 2:4].clone(), SIZE, out=targets)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_new_tensors_own_their_memory():
    for dtype in ("float32", "bfloat16", "float16", "uint8"):
        heatmaps = ops.render_heatmaps(CONTOURS, SIZE, dtype=dtype)
        assert heatmaps.data_ptr() % 64 == 0
        assert heatmaps.dtype == getattr(torch, dtype)
        assert heatmaps.is_contiguous()
        part = heatmaps[1:]
        expected = part.clone()
        del heatmaps
        again = [ops.render_heatmaps(CONTOURS + 1, SIZE, dtype=dtype) for _ in range(8)]
        assert torch.equal(part, expected), len(again)


@pytest.mark.parametrize("change", [lambda t: t.to_sparse(), lambda t: t.to_sparse_csr(), lambda t: t.to_mkldnn()])
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_tensors_of_another_layout(change):
    with pytest.raises(ValueError, match=r"points must be a dense tensor; call .to_dense\(\) on it"):
        fill(change(CONTOURS[0]))
