#include "bindings.hpp"
#include "echoseg/decode.hpp"

namespace echoseg::bindings {

void register_decode(py::module_& m) {
    m.def(
        "decode_heatmaps",
        [](Address heatmaps, int64_t planes, int64_t height, int64_t width, int method, float window, Address points,
           Address confidence, const Execution& execution) {
            const ImageSize size{height, width};
            const auto* values = pointer<const float>(heatmaps);
            const auto decode_method = static_cast<DecodeMethod>(method);
            if (execution.on_cuda())
                return cuda::decode_heatmaps(values, planes, size, decode_method, window, pointer<float>(points),
                                             pointer<float>(confidence), execution.launch);
            decode_heatmaps(values, planes, size, decode_method, window, pointer<float>(points),
                            pointer<float>(confidence), execution.threads);
        },
        Unlocked(), py::arg("heatmaps"), py::arg("planes"), py::arg("height"), py::arg("width"), py::arg("method"),
        py::arg("window"), py::arg("points"), py::arg("confidence"), py::arg("execution"));
}

}  // namespace echoseg::bindings
