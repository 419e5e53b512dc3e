// Build information.
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "echoseg/device.hpp"
#include "echoseg/parallel.hpp"
#include "echoseg/simd.hpp"

namespace echoseg::bindings {
namespace {

std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#elif defined(_MSC_VER)
    return "msvc " + std::to_string(_MSC_VER);
#else
    return "unknown";
#endif
}

}  // namespace

void register_build(py::module_& m) {
    m.attr("__version__") = ECHOSEG_VERSION;
    m.attr("compiler") = compiler();
    m.def("simd_level", &simd::level, "The instruction-set level in use; ECHOSEG_SIMD selects one.");
    m.def("simd_levels", &simd::available_levels,
          "The levels that this build contains and this processor supports, slowest first.");
    m.def("default_threads", &default_threads,
          "ECHOSEG_NUM_THREADS if set, else the number of CPUs that the process may use.");
    m.def("cuda_built", &cuda::built);
    m.def("cuda_devices", &cuda::device_names, py::call_guard<py::gil_scoped_release>(),
          "Names of the CUDA devices; empty without a driver or device.");
}

}  // namespace echoseg::bindings
