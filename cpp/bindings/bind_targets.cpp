#include "bindings.hpp"
#include "echoseg/targets.hpp"

namespace echoseg::bindings {

void register_targets(py::module_& m) {
    py::class_<TargetOptions>(m, "TargetOptions")
        .def(py::init([](int rule, int kernel_size, int shape, int iterations, int kind, float sigma, float radius,
                         int type) {
                 return TargetOptions{static_cast<FillRule>(rule),
                                      {kernel_size, static_cast<ElementShape>(shape), iterations},
                                      {static_cast<HeatmapKind>(kind), sigma, radius, static_cast<HeatmapType>(type)}};
             }),
             py::arg("rule"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"), py::arg("kind"),
             py::arg("sigma"), py::arg("radius"), py::arg("type"));
    m.def(
        "render_targets",
        [](Address points, Address offsets, int64_t count, int64_t points_per_contour, Address landmark_points,
           Address previous, int64_t per_image, int64_t height, int64_t width, const TargetOptions& options,
           Address masks, Address band, Address heatmaps, const Execution& execution) {
            const Contours contours{pointer<const float>(points), pointer<const int64_t>(offsets), count,
                                    points_per_contour};
            const Landmarks landmarks{pointer<const float>(landmark_points), pointer<const float>(previous), count,
                                      per_image};
            const ImageSize size{height, width};
            if (execution.on_cuda())
                return cuda::render_targets(contours, landmarks, size, options, pointer<uint8_t>(masks),
                                            pointer<uint8_t>(band), pointer<void>(heatmaps), execution.launch);
            render_targets(contours, landmarks, size, options, pointer<uint8_t>(masks), pointer<uint8_t>(band),
                           pointer<void>(heatmaps), execution.threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_per_contour"),
        py::arg("landmark_points"), py::arg("previous"), py::arg("per_image"), py::arg("height"), py::arg("width"),
        py::arg("options"), py::arg("masks"), py::arg("band"), py::arg("heatmaps"), py::arg("execution"));
    m.def(
        "target_workspace_bytes",
        [](int64_t count, int64_t height, int64_t width, const TargetOptions& options) {
            return cuda::band_workspace_bytes(count, {height, width}, options.element);
        },
        py::arg("count"), py::arg("height"), py::arg("width"), py::arg("options"));
}

}  // namespace echoseg::bindings
