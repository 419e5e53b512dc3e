#include "bindings.hpp"
#include "echoseg/band.hpp"

namespace echoseg::bindings {

void register_band(py::module_& m) {
    py::class_<StructuringElement>(m, "StructuringElement")
        .def(py::init([](int size, int shape, int iterations) {
                 return StructuringElement{size, static_cast<ElementShape>(shape), iterations};
             }),
             py::arg("size"), py::arg("shape"), py::arg("iterations"));

    using Cpu = void (*)(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, int);
    using Cuda = void (*)(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, const cuda::Launch&);
    const auto define = [&m](const char* name, Cpu cpu, Cuda cuda) {
        m.def(
            name,
            [cpu, cuda](Address masks, int64_t count, int64_t height, int64_t width, const StructuringElement& element,
                        Address out, const Execution& execution) {
                const ImageSize size{height, width};
                if (execution.on_cuda())
                    return cuda(pointer<const uint8_t>(masks), count, size, element, pointer<uint8_t>(out),
                                execution.launch);
                cpu(pointer<const uint8_t>(masks), count, size, element, pointer<uint8_t>(out), execution.threads);
            },
            Unlocked(), py::arg("masks"), py::arg("count"), py::arg("height"), py::arg("width"), py::arg("element"),
            py::arg("out"), py::arg("execution"));
    };
    define("dilate", &dilate, &cuda::dilate);
    define("erode", &erode, &cuda::erode);
    define("border_band", &border_band, &cuda::border_band);

    m.def(
        "border_band_from_contours",
        [](Address points, Address offsets, int64_t count, int64_t points_per_contour, int64_t height, int64_t width,
           int rule, const StructuringElement& element, Address out, const Execution& execution) {
            const Contours contours{pointer<const float>(points), pointer<const int64_t>(offsets), count,
                                    points_per_contour};
            const ImageSize size{height, width};
            const auto fill_rule = static_cast<FillRule>(rule);
            if (execution.on_cuda())
                return cuda::border_band_from_contours(contours, size, fill_rule, element, pointer<uint8_t>(out),
                                                       execution.launch);
            border_band_from_contours(contours, size, fill_rule, element, pointer<uint8_t>(out), execution.threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_per_contour"),
        py::arg("height"), py::arg("width"), py::arg("rule"), py::arg("element"), py::arg("out"), py::arg("execution"));
    m.def(
        "band_workspace_bytes",
        [](int64_t count, int64_t height, int64_t width, const StructuringElement& element) {
            return cuda::band_workspace_bytes(count, {height, width}, element);
        },
        py::arg("count"), py::arg("height"), py::arg("width"), py::arg("element"));
}

}  // namespace echoseg::bindings
