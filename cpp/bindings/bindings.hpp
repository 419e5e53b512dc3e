// Shared by the binding files. Arrays are passed as addresses, which echoseg.ops has checked and whose memory its
// caller owns. The same functions therefore serve NumPy and torch.
//
// Every kernel is bound once. Its last argument selects the CPU or the CUDA implementation.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>

#include "echoseg/device.hpp"

namespace echoseg::bindings {

namespace py = pybind11;

using Address = std::uintptr_t;

template <typename T>
T* pointer(Address address) {
    return reinterpret_cast<T*>(address);
}

// On the CPU with so many threads (0 for the default number) or, if launch.device is not negative, on a CUDA device.
struct Execution {
    int threads;
    cuda::Launch launch;

    bool on_cuda() const { return launch.device >= 0; }
};

using Unlocked = py::call_guard<py::gil_scoped_release>;

void register_build(py::module_& m);
void register_device(py::module_& m);
void register_polygon(py::module_& m);
void register_band(py::module_& m);
void register_heatmap(py::module_& m);
void register_targets(py::module_& m);
void register_decode(py::module_& m);
void register_distance(py::module_& m);

}  // namespace echoseg::bindings
