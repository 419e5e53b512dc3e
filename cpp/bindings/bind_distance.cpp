#include "bindings.hpp"
#include "echoseg/distance.hpp"

namespace echoseg::bindings {

void register_distance(py::module_& m) {
    m.def(
        "distance_transform",
        [](Address masks, int64_t count, int64_t height, int64_t width, double spacing_y, double spacing_x, Address out,
           const Execution& execution) {
            const ImageSize size{height, width};
            const Spacing spacing{spacing_y, spacing_x};
            const auto* images = pointer<const uint8_t>(masks);
            if (execution.on_cuda())
                return cuda::distance_transform(images, count, size, spacing, pointer<float>(out), execution.launch);
            distance_transform(images, count, size, spacing, pointer<float>(out), execution.threads);
        },
        Unlocked(), py::arg("masks"), py::arg("count"), py::arg("height"), py::arg("width"), py::arg("spacing_y"),
        py::arg("spacing_x"), py::arg("out"), py::arg("execution"));
    m.def(
        "distance_workspace_bytes",
        [](int64_t count, int64_t height, int64_t width) {
            return cuda::distance_workspace_bytes(count, {height, width});
        },
        py::arg("count"), py::arg("height"), py::arg("width"));
    m.def(
        "surface_distances",
        [](Address predicted, Address true_masks, int64_t count, int64_t height, int64_t width, double spacing_y,
           double spacing_x, Address hd95, Address assd, const Execution& execution) {
            const ImageSize size{height, width};
            const Spacing spacing{spacing_y, spacing_x};
            const auto *a = pointer<const uint8_t>(predicted), *b = pointer<const uint8_t>(true_masks);
            if (execution.on_cuda())
                return cuda::surface_distances(a, b, count, size, spacing, pointer<double>(hd95), pointer<double>(assd),
                                               execution.launch);
            surface_distances(a, b, count, size, spacing, pointer<double>(hd95), pointer<double>(assd),
                              execution.threads);
        },
        Unlocked(), py::arg("predicted"), py::arg("true_masks"), py::arg("count"), py::arg("height"), py::arg("width"),
        py::arg("spacing_y"), py::arg("spacing_x"), py::arg("hd95"), py::arg("assd"), py::arg("execution"));
    m.def(
        "surface_workspace_bytes",
        [](int64_t count, int64_t height, int64_t width) {
            return cuda::surface_workspace_bytes(count, {height, width});
        },
        py::arg("count"), py::arg("height"), py::arg("width"));
}

}  // namespace echoseg::bindings
