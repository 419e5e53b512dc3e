#include "bindings.hpp"
#include "echoseg/distance.hpp"

namespace echoseg::bindings {

void register_distance(py::module_& m) {
    m.def(
        "distance_transform",
        [](Address masks, int64_t count, int64_t height, int64_t width, double spacing_y, double spacing_x, Address out,
           int threads) {
            distance_transform(at<const uint8_t>(masks), count, {height, width}, {spacing_y, spacing_x}, at<float>(out), threads);
        },
        Unlocked(), py::arg("masks"), py::arg("count"), py::arg("height"), py::arg("width"), py::arg("spacing_y"),
        py::arg("spacing_x"), py::arg("out"), py::arg("threads"));
    m.def(
        "cuda_distance_scratch",
        [](int64_t count, int64_t height, int64_t width) { return cuda::distance_scratch(count, {height, width}); },
        py::arg("count"), py::arg("height"), py::arg("width"));
    m.def(
        "cuda_distance_transform",
        [](Address masks, int64_t count, int64_t height, int64_t width, double spacing_y, double spacing_x, Address out,
           Address scratch, Address stream, int device) {
            const Launch launch{scratch, stream, device};
            cuda::distance_transform(at<const uint8_t>(masks), count, {height, width}, {spacing_y, spacing_x}, at<float>(out),
                                     launch.memory(), launch.on());
        },
        Unlocked(), py::arg("masks"), py::arg("count"), py::arg("height"), py::arg("width"), py::arg("spacing_y"),
        py::arg("spacing_x"), py::arg("out"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
    m.def(
        "surface_distances",
        [](Address predicted, Address true_masks, int64_t count, int64_t height, int64_t width, double spacing_y,
           double spacing_x, Address hd95, Address assd, int threads) {
            surface_distances(at<const uint8_t>(predicted), at<const uint8_t>(true_masks), count, {height, width},
                              {spacing_y, spacing_x}, at<double>(hd95), at<double>(assd), threads);
        },
        Unlocked(), py::arg("predicted"), py::arg("true_masks"), py::arg("count"), py::arg("height"), py::arg("width"),
        py::arg("spacing_y"), py::arg("spacing_x"), py::arg("hd95"), py::arg("assd"), py::arg("threads"));
    m.def(
        "cuda_surface_scratch",
        [](int64_t count, int64_t height, int64_t width) { return cuda::surface_scratch(count, {height, width}); },
        py::arg("count"), py::arg("height"), py::arg("width"));
    m.def(
        "cuda_surface_distances",
        [](Address predicted, Address true_masks, int64_t count, int64_t height, int64_t width, double spacing_y,
           double spacing_x, Address hd95, Address assd, Address scratch, Address stream, int device) {
            const Launch launch{scratch, stream, device};
            cuda::surface_distances(at<const uint8_t>(predicted), at<const uint8_t>(true_masks), count, {height, width},
                                    {spacing_y, spacing_x}, at<double>(hd95), at<double>(assd), launch.memory(), launch.on());
        },
        Unlocked(), py::arg("predicted"), py::arg("true_masks"), py::arg("count"), py::arg("height"), py::arg("width"),
        py::arg("spacing_y"), py::arg("spacing_x"), py::arg("hd95"), py::arg("assd"), py::arg("scratch"), py::arg("stream"),
        py::arg("device"));
}

}  // namespace echoseg::bindings
