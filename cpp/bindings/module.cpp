// The Python module echoseg._core.
#include "bindings.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() = "Native kernels of echoseg. Private: called by echoseg.ops, which checks all arguments.";
    echoseg::bindings::register_build(m);
    echoseg::bindings::register_device(m);
    echoseg::bindings::register_polygon(m);
    echoseg::bindings::register_band(m);
    echoseg::bindings::register_heatmap(m);
    echoseg::bindings::register_targets(m);
    echoseg::bindings::register_decode(m);
    echoseg::bindings::register_distance(m);
}
