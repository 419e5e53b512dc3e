// The Python module: nothing but registrations.
#include "bindings.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() = "Native kernels of echoseg. Private: echoseg.ops checks what it passes here.";
    echoseg::bindings::register_build(m);
    echoseg::bindings::register_polygon(m);
    echoseg::bindings::register_band(m);
    echoseg::bindings::register_heatmap(m);
    echoseg::bindings::register_targets(m);
    echoseg::bindings::register_decode(m);
    echoseg::bindings::register_distance(m);
}
