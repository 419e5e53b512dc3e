"""The CUDA implementations compared with the CPU implementations, on a device and compiled for the host."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from echoseg import ops
from reference import random_batch

ROOT = Path(__file__).parents[2]
READY = ops.build_info()["cuda_built"] and torch.cuda.is_available()
needs_device = pytest.mark.skipif(not READY, reason="no CUDA device, or built without CUDA")
DEVICES = [f"cuda:{i}" for i in range(torch.cuda.device_count())][:2] if READY else ["cuda:0"]
SIZES = [(112, 112), (37, 129), (1, 1), (256, 256), (70, 5000)]


needs_compiler = pytest.mark.skipif(
    not shutil.which("c++") or sys.platform != "linux", reason="needs a C++ compiler on Linux"
)


@pytest.fixture(scope="module")
def host_objects(tmp_path_factory):
    """The object files of all kernels, with the CUDA kernels compiled for the host: tests/native/cuda_on_host."""
    kernels = [path for path in ROOT.glob("cpp/cuda/*.cu") if path.stem != "device"]
    sources = [path for path in ROOT.glob("cpp/cpu/**/*.cpp") if path.stem != "no_cuda"]
    return compile_sources([*kernels, *sources], tmp_path_factory.mktemp("kernels"))


def compile_sources(sources, folder, *flags):
    paths = [f"-I{ROOT / path}" for path in ("cpp/include", "cpp/cpu", "tests/native", "tests/native/cuda_on_host")]
    flags = ["-std=c++17", "-O1", "-fPIC", "-ffp-contract=off", "-w", "-pthread", *paths, *flags]

    def compiled(source: Path) -> Path:
        out = folder / f"{source.name}.o"
        subprocess.run(["c++", *flags, "-x", "c++", "-c", source, "-o", out], check=True)
        return out

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(compiled, sources))


@needs_compiler
@pytest.mark.slow
def test_cuda_kernels_on_the_host(tmp_path, host_objects):
    objects = compile_sources([ROOT / "tests/native/cuda_driver.cpp"], tmp_path)
    driver = tmp_path / "driver"
    subprocess.run(["c++", "-pthread", *objects, *host_objects, "-o", driver], check=True)
    finished = subprocess.run([driver, "60"], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr


def run_on_pretended_device(program, **environment):
    """Run a program in which torch reports that the memory of all tensors is on the CUDA device 0."""
    command = [sys.executable, "-c", PRETENDED_DEVICE + program]
    finished = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert finished.returncode == 0, finished.stderr


PRETENDED_DEVICE = """
import ctypes, struct
from contextlib import contextmanager
from types import SimpleNamespace
import numpy as np
import torch
from torch import Tensor

pythonapi = ctypes.pythonapi
pythonapi.PyCapsule_GetPointer.restype = ctypes.c_void_p
pythonapi.PyCapsule_GetPointer.argtypes = ctypes.py_object, ctypes.c_char_p
pythonapi.PyCapsule_New.restype = ctypes.py_object
pythonapi.PyCapsule_New.argtypes = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
NAME = b"dlpack_exchange_api"
READ = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)
address = pythonapi.PyCapsule_GetPointer(Tensor.__dlpack_c_exchange_api__, NAME)
table = (ctypes.c_char * 56).from_buffer_copy(ctypes.string_at(address, 56))  # DLPackExchangeAPI
read_original = READ(struct.unpack_from("P", table, 40)[0])

@READ
def read(tensor, memory):
    status = read_original(tensor, memory)
    ctypes.c_int32.from_address(memory + 8).value = 2  # DLTensor.device.device_type: kDLCUDA
    return status

struct.pack_into("P", table, 40, ctypes.cast(read, ctypes.c_void_p).value)
Tensor.__dlpack_c_exchange_api__ = pythonapi.PyCapsule_New(ctypes.addressof(table), NAME, None)
events = []

@contextmanager
def device(index):
    events.append(f"enter {index}")
    yield
    events.append("leave")

def current_stream(index):
    events.append(f"stream of {index}")
    return SimpleNamespace(cuda_stream=77)

torch.cuda.device, torch.cuda.current_stream = device, current_stream
"""


@pytest.mark.slow
@pytest.mark.skipif(ops.build_info()["cuda_built"], reason="built with CUDA")
def test_error_of_a_build_without_cuda():
    run_on_pretended_device("""
from echoseg import ops
try:
    ops.fill_polygons(torch.zeros(1, 3, 2), (8, 8))
except RuntimeError as error:
    assert "out is on a CUDA device, but this build" in str(error) and "ECHOSEG_CUDA=ON" in str(error), error
else:
    raise AssertionError("no error")
""")


BUILT_WITH_CUDA = """
#include <cstdint>
#include "echoseg/device.hpp"
namespace echoseg::cuda {
bool built() { return true; }
std::vector<std::string> device_names() { return {}; }
uint64_t shared_memory[48 * 1024 / sizeof(uint64_t)];  // see cuda_runtime.h
}
"""


@needs_compiler
@pytest.mark.slow
def test_operators_with_cuda_kernels_on_the_host(tmp_path, host_objects):
    """A module with these kernels draws on tensors that pretend to be on a device what it draws on NumPy arrays."""
    pybind11 = pytest.importorskip("pybind11", reason="part of [dev]")
    module_source = tmp_path / "module.cpp"  # one file, as CMakeLists.txt has it
    bindings = "".join(f'#include "{path}"\n' for path in ROOT.glob("cpp/bindings/*.cpp"))
    module_source.write_text(bindings + BUILT_WITH_CUDA, encoding="utf-8")
    include = [f"-I{path}" for path in (pybind11.get_include(), sysconfig.get_path("include"))]
    flags = [*include, "-fvisibility=hidden", '-DECHOSEG_VERSION="test"']
    objects = compile_sources([module_source], tmp_path, *flags)
    shutil.copytree(Path(ops.__file__).parents[1], tmp_path / "echoseg", ignore=shutil.ignore_patterns("_core.*.*"))
    module = tmp_path / "echoseg" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run(["c++", "-shared", "-pthread", *objects, *host_objects, "-o", module], check=True)
    paths = os.pathsep.join([str(tmp_path), str(ROOT / "tests")])
    run_on_pretended_device(
        """
from _operators import operators, to_torch
for count in (5, 0):
    for name, operator in operators(count, (37, 50)).items():
        arrays = to_torch(operator.arrays)
        results = operator.run(arrays, to_torch(operator.outs))
        assert events == ["enter 0", "stream of 0", "leave"], (name, events)
        events.clear()
        fresh = operator.call(**{k: a for k, a in arrays.items() if k != "previous"}, **operator.settings)
        fresh = fresh if isinstance(fresh, tuple) else (fresh,)
        events.clear()
        for result, new, expected in zip(results, fresh, operator.run(), strict=True):
            for array in (result, new):
                np.testing.assert_allclose(array, expected, rtol=0, atol=1e-3 if name == "decode_heatmaps" else 1e-6)
""",
        PYTHONPATH=paths,
    )


def both(device, operation, *arrays, **keywords):
    """The results of an operator on the CPU and, on a separate stream, on the device."""

    def at(value, where):
        return value.to(where) if isinstance(value, torch.Tensor) else value

    here = operation(*arrays, **keywords)
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):
        there = operation(
            *(at(array, device) for array in arrays), **{name: at(value, device) for name, value in keywords.items()}
        )
    stream.synchronize()
    together = [(here, there)] if isinstance(here, torch.Tensor) else list(zip(here, there, strict=True))
    assert all(b.device == torch.device(device) for _, b in together)
    return [(a, b.cpu()) for a, b in together]


def assert_same(pairs, off=0.0):
    for a, b in pairs:
        torch.testing.assert_close(b, a, rtol=0, atol=off if a.is_floating_point() else 0, equal_nan=True)


def contours_of(size, count, seed=0):
    _, points, offsets = random_batch(np.random.default_rng(seed), size, count)
    return torch.from_numpy(points), torch.from_numpy(offsets)


def landmarks_of(size, count, per_image=7):
    random = torch.Generator().manual_seed(1)
    return torch.rand((count, per_image, 2), generator=random) * torch.tensor(size[::-1]) * 1.2 - 5


@pytest.mark.cuda
@needs_device
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_and_bands(device, size):
    points, offsets = contours_of(size, 40)
    for rule in ("center", "opencv", "coverage"):
        assert_same(both(device, ops.fill_polygons, points, size, offsets=offsets, rule=rule))
    masks = ops.fill_polygons(points, size, offsets=offsets)
    for style in ({}, {"kernel_size": 6, "shape": "ellipse", "iterations": 2}, {"kernel_size": 31, "shape": "cross"}):
        for operation in (ops.dilate, ops.erode, ops.border_band):
            assert_same(both(device, operation, masks, **style))
    assert_same(both(device, ops.border_band, masks, kernel_size=301))  # exceeds shared memory
    assert_same(both(device, ops.border_band_from_contours, points, size, offsets=offsets, kernel_size=5))


@pytest.mark.cuda
@needs_device
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "uint8"])
def test_heatmaps_and_targets(device, size, dtype):
    points, offsets = contours_of(size, 9)
    landmarks = landmarks_of(size, 9)
    off = {"float32": 1e-6, "bfloat16": 2**-8, "float16": 2**-11, "uint8": 0}[dtype]
    for style in ({}, {"radius": 8.5}, {"kind": "euclidean", "radius": 14.0}):
        assert_same(both(device, ops.render_heatmaps, landmarks, size, dtype=dtype, **style), off)
        drawn = both(device, ops.render_targets, points, landmarks, size, offsets=offsets, dtype=dtype, **style)
        assert_same(drawn, off)
    band = ops.fill_polygons(points, size, offsets=offsets)
    assert_same(both(device, ops.render_heatmaps, landmarks, size, band=band, dtype=dtype), off)


@pytest.mark.cuda
@needs_device
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["argmax", "soft_argmax", "dark"])
def test_decoding(device, method):
    heatmaps = ops.render_heatmaps(landmarks_of((60, 71), 20), (60, 71), sigma=2.0)
    heatmaps[0, 0, 5, 5] = torch.nan
    heatmaps[1, 0] = 0
    points, confidence = both(device, ops.decode_heatmaps, heatmaps, method=method)
    assert_same([points], 1e-3)
    assert_same([confidence])


@pytest.mark.cuda
@needs_device
@pytest.mark.parametrize("device", DEVICES)
def test_distances(device):
    random = torch.Generator().manual_seed(2)
    masks = (torch.rand((5, 90, 113), generator=random) < 0.99).to(torch.uint8)
    masks[1] = 1
    assert_same(both(device, ops.distance_transform, masks))
    assert_same(both(device, ops.distance_transform, masks, spacing=(0.7, 1.3)))


@pytest.mark.cuda
@needs_device
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [*SIZES, (1, 400), (400, 1)], ids=str)
def test_surface_distances(device, size):
    points, offsets = contours_of(size, 40)
    masks = ops.fill_polygons(points, size, offsets=offsets)
    masks[:3] = torch.rand((3, *size), generator=torch.Generator().manual_seed(3)) < 0.6
    masks[3], masks[4:6] = 7, 0
    masks[6], masks[6, 0, 0] = 0, 1
    for others in (masks.flip(0), masks.roll(1, 0), masks):
        for spacing in (None, (0.3, 0.3), (0.7, 1.3)):
            hd95, assd = both(device, ops.surface_distances, masks, others, spacing=spacing)
            for here, there in (hd95, assd):
                # the CPU sums n distances in blocks of 128: the error is at most (128 + n / 128) * eps / 2, here 2e-13
                torch.testing.assert_close(there, here, rtol=1e-12, atol=0)
            for tolerance in (0, 0.9, 2.7, 40):
                given = {"tolerance": tolerance, "spacing": spacing}
                ((here, there),) = both(device, ops.normalized_surface_dice, masks, others, **given)
                torch.testing.assert_close(there, here, rtol=0, atol=0, equal_nan=True)


@pytest.mark.cuda
@needs_device
def test_more_pairs_than_blocks():
    masks = torch.zeros((2500, 40, 50), dtype=torch.uint8)
    masks[:, 5:20, 10:30] = 1
    masks[torch.arange(2500), torch.arange(2500) % 40] = 1
    twice = [ops.surface_distances(masks.cuda(), masks.flip(0).cuda()) for _ in range(2)]
    for here, there, again in zip(ops.surface_distances(masks, masks.flip(0)), *twice, strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-12, atol=0)
        assert (there == again).all()
    nsd = ops.normalized_surface_dice(masks.cuda(), masks.flip(0).cuda(), tolerance=3)
    assert (nsd.cpu() == ops.normalized_surface_dice(masks, masks.flip(0), tolerance=3)).all()


@pytest.mark.cuda
@needs_device
def test_large_and_empty_batches():
    points, offsets = contours_of((4096, 4096), 2)
    assert_same(both("cuda:0", ops.fill_polygons, points, (4096, 4096), offsets=offsets))
    assert_same(both("cuda:0", ops.border_band_from_contours, points, (4096, 4096), offsets=offsets, kernel_size=63))
    drawn = ops.render_targets(torch.zeros((0, 5, 2), device="cuda"), torch.zeros((0, 3, 2), device="cuda"), (8, 8))
    assert [tuple(array.shape) for array in drawn] == [(0, 8, 8), (0, 8, 8), (0, 3, 8, 8)]
    assert ops.distance_transform(torch.zeros((0, 8, 8), dtype=torch.uint8, device="cuda")).shape == (0, 8, 8)
    none = torch.zeros((0, 8, 8), dtype=torch.uint8, device="cuda")
    assert ops.surface_distances(none, none)[0].shape == (0,)
    assert ops.normalized_surface_dice(none, none, tolerance=1).shape == (0,)


@pytest.mark.cuda
@needs_device
def test_invalid_values_draw_nothing():
    contours = torch.tensor([[[1, 1], [30, 1], [9, 18]]] * 3, dtype=torch.float32, device="cuda")
    landmarks = torch.full((3, 1, 2), 7.0, device="cuda")
    for invalid in (float("nan"), float("inf"), 3e38, 2.0**20 + 1):
        contours[1, 2, 0] = landmarks[1, 0, 1] = invalid
        mask, _, heatmaps = ops.render_targets(contours, landmarks, (20, 33), kernel_size=41)
        assert (mask.flatten(1).any(1).cpu() == torch.tensor([True, False, True])).all()
        assert (heatmaps.flatten(1).any(1).cpu() == torch.tensor([True, False, True])).all()


@pytest.mark.cuda
@needs_device
def test_arrays_on_different_devices():
    with pytest.raises(ValueError, match=r"band must be on the same device as the other arrays, cuda:0, not on cpu"):
        ops.render_heatmaps(
            torch.zeros((1, 1, 2), device="cuda"), (8, 8), band=torch.zeros((1, 8, 8), dtype=torch.uint8)
        )


@pytest.mark.cuda
@needs_device
def test_kernels_in_a_cuda_graph():
    """A capture fails if native code allocates memory or synchronises."""
    contours, landmarks = torch.rand((4, 9, 2), device="cuda") * 50, torch.rand((4, 3, 2), device="cuda") * 50
    expected = ops.render_targets(contours, landmarks, (64, 64))
    out = ops.Targets(*(torch.zeros_like(array) for array in expected))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        ops.render_targets(contours, landmarks, (64, 64), out=out)
    graph.replay()
    assert_same(zip(expected, out, strict=True))
