// What `echoseg info` reports.
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
    m.def("simd_level", &simd::level, "The instruction-set level in use; ECHOSEG_SIMD forces one.");
    m.def("simd_levels", &simd::available_levels, "Every level that this build has and this processor runs, slowest first.");
    m.def("default_threads", &default_threads, "ECHOSEG_NUM_THREADS, else the CPUs that the process may use.");
    m.def("cuda_built", &cuda::built);
    m.def("cuda_devices", &cuda::device_names, Unlocked(), "Names of the CUDA devices; empty without driver or device.");
}

}  // namespace echoseg::bindings
