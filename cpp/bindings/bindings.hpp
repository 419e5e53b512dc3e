// Shared by the binding files.
//
// A kernel is bound as a function of Python objects that checks all its arguments, allocates what it returns, and runs
// on the CPU or on a CUDA device. Python adds keywords and documentation only.
#pragma once

#include <pybind11/pybind11.h>

#include "arrays.hpp"

namespace echoseg::bindings {

namespace py = pybind11;

// Binds a kernel. If torch must see the call (NeedsOperator), the function of the same name in echoseg.ops._torch takes
// it; the torch operator that this calls passes direct = True.
template <typename... Handles, typename... Extra>
void define(py::module_& m, const char* name, py::object (*kernel)(Call&, Handles...), const Extra&... extra) {
    m.def(
        name,
        [name, kernel](Handles... arguments, bool direct) -> py::object {
            try {
                Call call(direct);
                return kernel(call, arguments...);
            } catch (const NeedsOperator&) {
                return py::module_::import("echoseg.ops._torch").attr(name)(arguments...);
            }
        },
        extra..., py::arg("direct") = false);
}

void register_build(py::module_& m);
void register_polygon(py::module_& m);
void register_band(py::module_& m);
void register_heatmap(py::module_& m);
void register_targets(py::module_& m);
void register_decode(py::module_& m);
void register_distance(py::module_& m);

}  // namespace echoseg::bindings
