#include "bindings.hpp"
#include "echoseg/heatmap.hpp"

namespace echoseg::bindings {

void register_heatmap(py::module_& m) {
    m.def(
        "render_heatmaps",
        [](Address landmarks, Address previous, int64_t count, int64_t per_image, int64_t height, int64_t width, int kind,
           float sigma, float radius, int type, Address band, Address heatmaps, int threads) {
            const HeatmapStyle style{static_cast<HeatmapKind>(kind), sigma, radius, static_cast<HeatmapType>(type)};
            render_heatmaps(at<const float>(landmarks), at<const float>(previous), count, per_image, {height, width}, style,
                            at<const uint8_t>(band), at<void>(heatmaps), threads);
        },
        Unlocked(), py::arg("landmarks"), py::arg("previous"), py::arg("count"), py::arg("per_image"), py::arg("height"),
        py::arg("width"), py::arg("kind"), py::arg("sigma"), py::arg("radius"), py::arg("type"), py::arg("band"),
        py::arg("heatmaps"), py::arg("threads"));
    m.def(
        "cuda_heatmap_scratch",
        [](int64_t count, int64_t height, int64_t width) { return cuda::heatmap_scratch(count, {height, width}); },
        py::arg("count"), py::arg("height"), py::arg("width"));
    m.def(
        "cuda_render_heatmaps",
        [](Address landmarks, Address previous, int64_t count, int64_t per_image, int64_t height, int64_t width, int kind,
           float sigma, float radius, int type, Address band, Address heatmaps, Address scratch, Address stream, int device) {
            const HeatmapStyle style{static_cast<HeatmapKind>(kind), sigma, radius, static_cast<HeatmapType>(type)};
            const Launch launch{scratch, stream, device};
            cuda::render_heatmaps(at<const float>(landmarks), at<const float>(previous), count, per_image, {height, width}, style,
                                  at<const uint8_t>(band), at<void>(heatmaps), launch.memory(), launch.on());
        },
        Unlocked(), py::arg("landmarks"), py::arg("previous"), py::arg("count"), py::arg("per_image"), py::arg("height"),
        py::arg("width"), py::arg("kind"), py::arg("sigma"), py::arg("radius"), py::arg("type"), py::arg("band"),
        py::arg("heatmaps"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
}

}  // namespace echoseg::bindings
