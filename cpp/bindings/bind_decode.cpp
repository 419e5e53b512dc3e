#include "bindings.hpp"
#include "echoseg/decode.hpp"

namespace echoseg::bindings {

void register_decode(py::module_& m) {
    m.def(
        "decode_argmax",
        [](Address heatmaps, int64_t planes, int64_t height, int64_t width, Address points, Address confidence, int threads) {
            decode_argmax(at<const float>(heatmaps), planes, {height, width}, at<float>(points), at<float>(confidence), threads);
        },
        Unlocked(), py::arg("heatmaps"), py::arg("planes"), py::arg("height"), py::arg("width"), py::arg("points"),
        py::arg("confidence"), py::arg("threads"));
}

}  // namespace echoseg::bindings
