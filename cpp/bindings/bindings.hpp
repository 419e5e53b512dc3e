// What the binding files share. Arrays arrive as addresses that echoseg.ops has checked: their framework owns the memory, and
// the same call serves NumPy and torch on the CPU. For torch on CUDA each has a twin cuda_…, whose last arguments are not `threads`
// but what `Launch` holds.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>

#include "echoseg/device.hpp"

namespace echoseg::bindings {

namespace py = pybind11;

using Address = std::uintptr_t;

template <typename T>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

// What a CUDA twin is called with: the stream, and scratch memory of as many bytes as cuda_…_scratch says.
struct Launch {
    Address scratch, stream;
    int device;

    void* memory() const { return at<void>(scratch); }
    cuda::Stream on() const { return {device, at<void>(stream)}; }
};

using Unlocked = py::call_guard<py::gil_scoped_release>;

void register_build(py::module_& m);
void register_polygon(py::module_& m);
void register_band(py::module_& m);
void register_heatmap(py::module_& m);
void register_targets(py::module_& m);
void register_decode(py::module_& m);
void register_distance(py::module_& m);

}  // namespace echoseg::bindings
