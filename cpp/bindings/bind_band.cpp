#include "bindings.hpp"
#include "echoseg/band.hpp"

namespace echoseg::bindings {

static void register_cuda_band(py::module_& m) {
    m.def(
        "cuda_band_scratch",
        [](int64_t count, int64_t height, int64_t width, int kernel_size, int shape, int iterations) {
            return cuda::band_scratch(count, {height, width}, {kernel_size, static_cast<KernelShape>(shape), iterations});
        },
        py::arg("count"), py::arg("height"), py::arg("width"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"));
    using Function = void (*)(const uint8_t*, int64_t, ImageSize, const Kernel&, uint8_t*, void*, cuda::Stream);
    const auto define = [&m](const char* name, Function function) {
        m.def(
            name,
            [function](Address masks, int64_t count, int64_t height, int64_t width, int kernel_size, int shape, int iterations,
                       Address out, Address scratch, Address stream, int device) {
                const Kernel kernel{kernel_size, static_cast<KernelShape>(shape), iterations};
                const Launch launch{scratch, stream, device};
                function(at<const uint8_t>(masks), count, {height, width}, kernel, at<uint8_t>(out), launch.memory(), launch.on());
            },
            Unlocked(), py::arg("masks"), py::arg("count"), py::arg("height"), py::arg("width"), py::arg("kernel_size"),
            py::arg("shape"), py::arg("iterations"), py::arg("out"), py::arg("scratch"), py::arg("stream"), py::arg("device"));
    };
    define("cuda_dilate", &cuda::dilate);
    define("cuda_erode", &cuda::erode);
    define("cuda_border_band", &cuda::border_band);
    m.def(
        "cuda_border_band_from_contours",
        [](Address points, Address offsets, int64_t count, int64_t points_each, int64_t height, int64_t width, int rule,
           int kernel_size, int shape, int iterations, Address out, Address scratch, Address stream, int device) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            const Kernel kernel{kernel_size, static_cast<KernelShape>(shape), iterations};
            const Launch launch{scratch, stream, device};
            cuda::border_band_from_contours(contours, {height, width}, static_cast<FillRule>(rule), kernel, at<uint8_t>(out),
                                            launch.memory(), launch.on());
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("height"),
        py::arg("width"), py::arg("rule"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"), py::arg("out"),
        py::arg("scratch"), py::arg("stream"), py::arg("device"));
}

void register_band(py::module_& m) {
    using Function = void (*)(const uint8_t*, int64_t, ImageSize, const Kernel&, uint8_t*, int);
    const auto define = [&m](const char* name, Function function) {
        m.def(
            name,
            [function](Address masks, int64_t count, int64_t height, int64_t width, int kernel_size, int shape, int iterations,
                       Address out, int threads) {
                const Kernel kernel{kernel_size, static_cast<KernelShape>(shape), iterations};
                function(at<const uint8_t>(masks), count, {height, width}, kernel, at<uint8_t>(out), threads);
            },
            Unlocked(), py::arg("masks"), py::arg("count"), py::arg("height"), py::arg("width"), py::arg("kernel_size"),
            py::arg("shape"), py::arg("iterations"), py::arg("out"), py::arg("threads"));
    };
    define("dilate", &dilate);
    define("erode", &erode);
    define("border_band", &border_band);
    m.def(
        "border_band_from_contours",
        [](Address points, Address offsets, int64_t count, int64_t points_each, int64_t height, int64_t width, int rule,
           int kernel_size, int shape, int iterations, Address out, int threads) {
            const Contours contours{at<const float>(points), at<const int64_t>(offsets), count, points_each};
            const Kernel kernel{kernel_size, static_cast<KernelShape>(shape), iterations};
            border_band_from_contours(contours, {height, width}, static_cast<FillRule>(rule), kernel, at<uint8_t>(out), threads);
        },
        Unlocked(), py::arg("points"), py::arg("offsets"), py::arg("count"), py::arg("points_each"), py::arg("height"),
        py::arg("width"), py::arg("rule"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"), py::arg("out"),
        py::arg("threads"));
    register_cuda_band(m);
}

}  // namespace echoseg::bindings
