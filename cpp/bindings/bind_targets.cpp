#include "bindings.hpp"
#include "echoseg/targets.hpp"

namespace echoseg::bindings {

void register_targets(py::module_& m) {
    m.def(
        "render_targets",
        [](Address points, Address offsets, int64_t count, int64_t points_each, Address landmarks, Address previous,
           int64_t per_image, int64_t height, int64_t width, int rule, int kernel_size, int shape, int iterations, int kind,
           float sigma, float radius, int type, Address masks, Address band, Address heatmaps, int threads) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            const TargetStyle style{static_cast<FillRule>(rule),
                                    {kernel_size, static_cast<KernelShape>(shape), iterations},
                                    {static_cast<HeatmapKind>(kind), sigma, radius, static_cast<HeatmapType>(type)}};
            render_targets(contours, at<const float>(landmarks), at<const float>(previous), per_image, {height, width}, style,
                           at<uint8_t>(masks), at<uint8_t>(band), at<void>(heatmaps), threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("landmarks"),
        py::arg("previous"), py::arg("per_image"), py::arg("height"), py::arg("width"), py::arg("rule"), py::arg("kernel_size"),
        py::arg("shape"), py::arg("iterations"), py::arg("kind"), py::arg("sigma"), py::arg("radius"), py::arg("type"),
        py::arg("masks"), py::arg("band"), py::arg("heatmaps"), py::arg("threads"));
    m.def(
        "cuda_render_targets",
        [](Address points, Address offsets, int64_t count, int64_t points_each, Address landmarks, Address previous,
           int64_t per_image, int64_t height, int64_t width, int rule, int kernel_size, int shape, int iterations, int kind,
           float sigma, float radius, int type, Address masks, Address band, Address heatmaps, Address scratch, Address stream,
           int device) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            const TargetStyle style{static_cast<FillRule>(rule),
                                    {kernel_size, static_cast<KernelShape>(shape), iterations},
                                    {static_cast<HeatmapKind>(kind), sigma, radius, static_cast<HeatmapType>(type)}};
            const Launch launch{scratch, stream, device};
            cuda::render_targets(contours, at<const float>(landmarks), at<const float>(previous), per_image, {height, width},
                                 style, at<uint8_t>(masks), at<uint8_t>(band), at<void>(heatmaps), launch.memory(), launch.on());
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("landmarks"),
        py::arg("previous"), py::arg("per_image"), py::arg("height"), py::arg("width"), py::arg("rule"), py::arg("kernel_size"),
        py::arg("shape"), py::arg("iterations"), py::arg("kind"), py::arg("sigma"), py::arg("radius"), py::arg("type"),
        py::arg("masks"), py::arg("band"), py::arg("heatmaps"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
}

}  // namespace echoseg::bindings
