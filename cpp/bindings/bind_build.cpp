// Build information, and checks of the memory of arrays.
#include <pybind11/numpy.h>

#include <optional>
#include <utility>

#include "bindings.hpp"
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

// Faster than ndarray.ctypes.data by a factor of ten.
std::vector<Address> addresses(const std::vector<py::object>& arrays) {
    std::vector<Address> found;
    for (const py::object& array : arrays)
        found.push_back(array.is_none() ? 0 : reinterpret_cast<Address>(array.cast<py::array>().data()));
    return found;
}

// The first pair of arrays that share memory and of which at least one is among the first `outs`.
std::optional<std::pair<size_t, size_t>> find_overlap(const std::vector<Address>& starts,
                                                      const std::vector<size_t>& bytes, size_t outs) {
    for (size_t i = 0; i < outs; ++i)
        for (size_t j = i + 1; j < starts.size(); ++j)
            if (starts[i] < starts[j] + bytes[j] && starts[j] < starts[i] + bytes[i]) return std::make_pair(i, j);
    return std::nullopt;
}

}  // namespace

void register_build(py::module_& m) {
    m.def("addresses", &addresses, py::arg("arrays"), "Addresses of the data of NumPy arrays; 0 for None.");
    m.def("find_overlap", &find_overlap, py::arg("starts"), py::arg("bytes"), py::arg("outs"),
          "Indices of the first two arrays that share memory and of which one is among the first `outs`, or None.");
    m.attr("__version__") = ECHOSEG_VERSION;
    m.attr("compiler") = compiler();
    m.def("simd_level", &simd::level, "The instruction-set level in use; ECHOSEG_SIMD selects one.");
    m.def("simd_levels", &simd::available_levels,
          "The levels that this build contains and this processor supports, slowest first.");
    m.def("default_threads", &default_threads,
          "ECHOSEG_NUM_THREADS if set, else the number of CPUs that the process may use.");
}

}  // namespace echoseg::bindings
