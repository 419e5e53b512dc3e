#include "bindings.hpp"
#include "echoseg/decode.hpp"

namespace echoseg::bindings {

void register_decode(py::module_& m) {
    m.def(
        "decode_heatmaps",
        [](Address heatmaps, int64_t planes, int64_t height, int64_t width, int method, float window, Address points,
           Address confidence, int threads) {
            decode_heatmaps(at<const float>(heatmaps), planes, {height, width}, static_cast<DecodeMethod>(method), window,
                            at<float>(points), at<float>(confidence), threads);
        },
        Unlocked(), py::arg("heatmaps"), py::arg("planes"), py::arg("height"), py::arg("width"), py::arg("method"),
        py::arg("window"), py::arg("points"), py::arg("confidence"), py::arg("threads"));
    m.def(
        "cuda_decode_heatmaps",
        [](Address heatmaps, int64_t planes, int64_t height, int64_t width, int method, float window, Address points,
           Address confidence, Address scratch, Address stream, int device) {
            cuda::decode_heatmaps(at<const float>(heatmaps), planes, {height, width}, static_cast<DecodeMethod>(method), window,
                                  at<float>(points), at<float>(confidence), Launch{scratch, stream, device}.on());
        },
        Unlocked(), py::arg("heatmaps"), py::arg("planes"), py::arg("height"), py::arg("width"), py::arg("method"),
        py::arg("window"), py::arg("points"), py::arg("confidence"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
}

}  // namespace echoseg::bindings
