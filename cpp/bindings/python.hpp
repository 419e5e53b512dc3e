// Helpers for Python objects.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace echoseg::bindings {

namespace py = pybind11;

// The result of a C function of Python, or the Python exception that it has set.
inline py::object checked(PyObject* result) {
    if (result == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(result);
}

inline std::string text(py::handle value) { return py::str(value); }

inline std::string type_name(py::handle value) { return text(py::type::handle_of(value).attr("__name__")); }

}  // namespace echoseg::bindings
