// The Python module echoseg._core.
#include <pybind11/numpy.h>

#include "bindings.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() = "Native kernels of echoseg. Private: called by echoseg.ops.";
    pybind11::detail::npy_api::get();  // now, since a process that forks during this waits for ever
    echoseg::bindings::register_build(m);
    echoseg::bindings::register_polygon(m);
    echoseg::bindings::register_band(m);
    echoseg::bindings::register_heatmap(m);
    echoseg::bindings::register_targets(m);
    echoseg::bindings::register_decode(m);
    echoseg::bindings::register_distance(m);
}
