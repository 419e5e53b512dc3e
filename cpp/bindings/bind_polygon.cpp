#include "bindings.hpp"
#include "echoseg/polygon.hpp"

namespace echoseg::bindings {

void register_polygon(py::module_& m) {
    m.def(
        "find_bad_point",
        [](Address points, int64_t count) { return find_bad_point(at<const float>(points), count); }, Unlocked(),
        py::arg("points"), py::arg("count"));
    m.def(
        "fill_polygons",
        [](Address points, Address offsets, int64_t count, int64_t points_each, int64_t height, int64_t width, int rule,
           Address masks, int threads) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            fill_polygons(contours, {height, width}, static_cast<FillRule>(rule), at<uint8_t>(masks), threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("height"),
        py::arg("width"), py::arg("rule"), py::arg("masks"), py::arg("threads"));
    m.def(
        "cover_polygons",
        [](Address points, Address offsets, int64_t count, int64_t points_each, int64_t height, int64_t width, Address areas,
           int threads) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            cover_polygons(contours, {height, width}, at<float>(areas), threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("height"),
        py::arg("width"), py::arg("areas"), py::arg("threads"));
    m.def(
        "cuda_fill_scratch",
        [](int64_t count, int64_t height, int64_t width) { return cuda::fill_scratch(count, {height, width}); },
        py::arg("count"), py::arg("height"), py::arg("width"));
    m.def(
        "cuda_fill_polygons",
        [](Address points, Address offsets, int64_t count, int64_t points_each, int64_t height, int64_t width, int rule,
           Address masks, Address scratch, Address stream, int device) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            const Launch launch{scratch, stream, device};
            cuda::fill_polygons(contours, {height, width}, static_cast<FillRule>(rule), at<uint8_t>(masks), launch.memory(),
                                launch.on());
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("height"),
        py::arg("width"), py::arg("rule"), py::arg("masks"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
    m.def(
        "cuda_cover_polygons",
        [](Address points, Address offsets, int64_t count, int64_t points_each, int64_t height, int64_t width, Address areas,
           Address scratch, Address stream, int device) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            cuda::cover_polygons(contours, {height, width}, at<float>(areas), Launch{scratch, stream, device}.on());
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("height"),
        py::arg("width"), py::arg("areas"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
}

}  // namespace echoseg::bindings
