#include "bindings.hpp"
#include "echoseg/heatmap.hpp"

namespace echoseg::bindings {

void register_heatmap(py::module_& m) {
    py::class_<HeatmapOptions>(m, "HeatmapOptions")
        .def(py::init([](int kind, float sigma, float radius, int type) {
                 return HeatmapOptions{static_cast<HeatmapKind>(kind), sigma, radius, static_cast<HeatmapType>(type)};
             }),
             py::arg("kind"), py::arg("sigma"), py::arg("radius"), py::arg("type"));
    m.def(
        "render_heatmaps",
        [](Address points, Address previous, int64_t count, int64_t per_image, int64_t height, int64_t width,
           const HeatmapOptions& options, Address band, Address heatmaps, const Execution& execution) {
            const Landmarks landmarks{pointer<const float>(points), pointer<const float>(previous), count, per_image};
            const ImageSize size{height, width};
            const auto* mask = pointer<const uint8_t>(band);
            if (execution.on_cuda())
                return cuda::render_heatmaps(landmarks, size, options, mask, pointer<void>(heatmaps), execution.launch);
            render_heatmaps(landmarks, size, options, mask, pointer<void>(heatmaps), execution.threads);
        },
        Unlocked(), py::arg("points"), py::arg("previous"), py::arg("count"), py::arg("per_image"), py::arg("height"),
        py::arg("width"), py::arg("options"), py::arg("band"), py::arg("heatmaps"), py::arg("execution"));
    m.def(
        "heatmap_workspace_bytes",
        [](int64_t count, int64_t height, int64_t width) {
            return cuda::heatmap_workspace_bytes(count, {height, width});
        },
        py::arg("count"), py::arg("height"), py::arg("width"));
}

}  // namespace echoseg::bindings
