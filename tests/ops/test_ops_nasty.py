"""Every operator with unusual arrays: errors that name the argument, or correct results."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch

from _operators import copy_arrays, operators, to_torch

OPERATORS = operators()
every_operator = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


def misaligned(array):
    """A view at an odd address."""
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[:] = array
    return raw


INVALID = {
    "a list": lambda a: a.tolist(),
    "a number": lambda a: 5,
    "text": lambda a: "points",
    "bytes": lambda a: a.tobytes(),
    "objects": lambda a: a.astype(object),
    "complex": lambda a: a.astype(np.complex64),
    "bool": lambda a: a.astype(bool),
    "another float": lambda a: a.astype(np.float16),
    "another integer": lambda a: a.astype(np.int32),
    "an array of text": lambda a: a.astype(str),
    "records": lambda a: a.view([("value", a.dtype)]),
    "no axis": lambda a: a.flat[0:1].reshape(()),
    "a scalar": lambda a: a.flat[0],
    "one more axis": lambda a: a[None],
    "one axis": lambda a: a.reshape(1, -1)[0] if a.ndim > 1 else a.reshape(-1, 1),
    "masked": np.ma.masked_array,
}
WRONG_LAYOUT = {  # some shapes have only one layout
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: a[::-1],
    "backwards along the last axis": lambda a: a[..., ::-1],
    "Fortran order": np.asfortranarray,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "misaligned": misaligned,
}
VALID = {
    "a subclass": lambda a: a.view(type("Subclass", (np.ndarray,), {})),
    "a matrix": lambda a: np.matrix(a) if a.ndim == 2 else a,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


def check_error(operator, arrays, outs, name):
    with pytest.raises((TypeError, ValueError), match=re.escape(name)):
        operator.run(arrays, outs)


@every_operator
@pytest.mark.parametrize("kind", INVALID)
def test_invalid_arrays(operator, kind):
    change = INVALID[kind]
    for name, array in operator.arrays.items():
        check_error(operator, operator.arrays | {name: change(array)}, None, name)
    for name, out in operator.outs.items():
        check_error(operator, operator.arrays, copy_arrays(operator.outs) | {name: change(out)}, name)


@every_operator
def test_mixed_frameworks(operator):
    cases = [(a, None) for a in _one_of_torch(operator.arrays)] if len(operator.arrays) > 1 else []
    for arrays, outs in [*cases, *((operator.arrays, o) for o in _one_of_torch(operator.outs))]:
        with pytest.raises(TypeError, match="must be of the same framework"):
            operator.run(arrays, outs)


def _one_of_torch(arrays):
    return [arrays | {name: torch.from_numpy(array.copy())} for name, array in arrays.items()]


@every_operator
@pytest.mark.parametrize("kind", WRONG_LAYOUT)
def test_unsupported_memory_layouts(operator, kind):
    change, tried = WRONG_LAYOUT[kind], 0
    cases = [(operator.arrays, name) for name in operator.arrays] + [(operator.outs, name) for name in operator.outs]
    for group, name in cases:
        array = change(group[name])
        if array.dtype == group[name].dtype and array.flags.c_contiguous and array.flags.aligned:
            continue
        tried += 1
        changed = {name: array}
        arrays, outs = (changed, {}) if group is operator.arrays else ({}, changed)
        check_error(operator, operator.arrays | arrays, copy_arrays(operator.outs) | outs, name)
    assert tried or kind in ("misaligned", "big-endian", "broadcast", "Fortran order", "backwards")


@every_operator
@pytest.mark.parametrize("kind", VALID)
def test_valid_arrays(operator, kind):
    expected = operator.run()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # of numpy.matrix
        arrays = {name: VALID[kind](array) for name, array in operator.arrays.items()}
    same(operator.run(arrays), expected)


def same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b, strict=True)


@every_operator
def test_outputs_that_share_memory(operator):
    """An overlap of one element is an error; adjacent arrays are valid."""
    names = [*operator.arrays, *operator.outs]
    plain = operator.arrays | operator.outs
    for name in operator.outs:
        for other in names:
            if other == name or other == "previous":
                continue
            first, second = plain[name], plain[other]
            step = max(first.itemsize, second.itemsize)
            for overlap, clash in ((step, True), (0, False)):
                at = -(-first.nbytes // step) * step - overlap
                raw = np.zeros(at + second.nbytes, np.uint8)
                views = {
                    name: raw[: first.nbytes].view(first.dtype).reshape(first.shape),
                    other: raw[at:].view(second.dtype).reshape(second.shape),
                }
                views[other][:] = second
                arrays = {n: views.get(n, a) for n, a in operator.arrays.items()}
                outs = {n: views.get(n, a) for n, a in copy_arrays(operator.outs).items()}
                if clash and at < first.nbytes:
                    with pytest.raises(ValueError, match="must not share memory with"):
                        operator.run(arrays, outs)
                elif not clash:
                    same(operator.run(arrays, outs), operator.run())


TORCH_INVALID = {
    "double": lambda t: t.to(torch.float64) if t.dtype != torch.float64 else t.float(),
    "complex": lambda t: t.to(torch.complex64),
    "on the meta device": lambda t: t.to("meta"),
    "sparse": lambda t: t.to_sparse(),
    "strided": lambda t: t.repeat_interleave(2, -1)[..., ::2],
    "expanded": lambda t: t[:1].expand(t.shape) if len(t) > 1 else t[None],
    "a NumPy array": lambda t: t.numpy(),
}
TORCH_VALID = {
    "plain": lambda t: t,
    "a parameter": lambda t: torch.nn.Parameter(t) if t.is_floating_point() else t,
    "with gradients": lambda t: t.clone().requires_grad_() if t.is_floating_point() else t,
    "negated lazily": lambda t: torch._neg_view(-t) if t.is_floating_point() else t,
    "in inference mode": lambda t: _in_inference_mode(t),
    "a view into more": lambda t: torch.cat([t, t])[len(t) :],
}


def _in_inference_mode(tensor):
    with torch.inference_mode():
        return tensor.clone()


@every_operator
@pytest.mark.parametrize("kind", TORCH_INVALID)
def test_invalid_tensors(operator, kind):
    arrays, change = to_torch(operator.arrays), TORCH_INVALID[kind]
    for name, tensor in arrays.items():
        with pytest.raises((TypeError, ValueError)):
            operator.run(arrays | {name: change(tensor)}, to_torch(operator.outs))
    for name, out in to_torch(operator.outs).items():
        with pytest.raises((TypeError, ValueError)):
            operator.run(arrays, to_torch(operator.outs) | {name: change(out)})


@every_operator
@pytest.mark.parametrize("kind", TORCH_VALID)
def test_valid_tensors(operator, kind):
    expected = operator.run()
    arrays = {name: TORCH_VALID[kind](tensor) for name, tensor in to_torch(operator.arrays).items()}
    same([out.detach() for out in operator.run(arrays, to_torch(operator.outs))], expected)
