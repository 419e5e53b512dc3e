#include "bindings.hpp"
#include "echoseg/polygon.hpp"

namespace echoseg::bindings {

void register_polygon(py::module_& m) {
    m.def(
        "find_invalid_point",
        [](Address points, int64_t count) { return find_invalid_point(pointer<const float>(points), count); },
        Unlocked(), py::arg("points"), py::arg("count"), "Index of the first point with an invalid coordinate, or -1.");
    m.def(
        "fill_polygons",
        [](Address points, Address offsets, int64_t count, int64_t points_per_contour, int64_t height, int64_t width,
           int rule, Address masks, const Execution& execution) {
            const Contours contours{pointer<const float>(points), pointer<const int64_t>(offsets), count,
                                    points_per_contour};
            const ImageSize size{height, width};
            const auto fill_rule = static_cast<FillRule>(rule);
            if (execution.on_cuda())
                return cuda::fill_polygons(contours, size, fill_rule, pointer<uint8_t>(masks), execution.launch);
            fill_polygons(contours, size, fill_rule, pointer<uint8_t>(masks), execution.threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_per_contour"),
        py::arg("height"), py::arg("width"), py::arg("rule"), py::arg("masks"), py::arg("execution"));
    m.def(
        "cover_polygons",
        [](Address points, Address offsets, int64_t count, int64_t points_per_contour, int64_t height, int64_t width,
           Address areas, const Execution& execution) {
            const Contours contours{pointer<const float>(points), pointer<const int64_t>(offsets), count,
                                    points_per_contour};
            const ImageSize size{height, width};
            if (execution.on_cuda())
                return cuda::cover_polygons(contours, size, pointer<float>(areas), execution.launch);
            cover_polygons(contours, size, pointer<float>(areas), execution.threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_per_contour"),
        py::arg("height"), py::arg("width"), py::arg("areas"), py::arg("execution"));
    m.def(
        "fill_workspace_bytes",
        [](int64_t count, int64_t height, int64_t width) { return cuda::fill_workspace_bytes(count, {height, width}); },
        py::arg("count"), py::arg("height"), py::arg("width"));
}

}  // namespace echoseg::bindings
