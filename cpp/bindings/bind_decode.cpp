#include "bindings.hpp"
#include "echoseg/decode.hpp"
#include "options.hpp"

namespace echoseg::bindings {
namespace {

py::object decode(Call& call, py::handle heatmaps, py::handle method, py::handle window, py::handle points_out,
                  py::handle confidence_out) {
    const auto decode_method = static_cast<DecodeMethod>(choice("method", method, {"argmax", "soft_argmax", "dark"}));
    const auto half_width = static_cast<float>(positive("window", window));
    const Array& maps = call.input("heatmaps", heatmaps, Type::float32, {"N", "K", "H", "W"});
    const int64_t count = maps.shape[0], per_image = maps.shape[1], planes = count * per_image;
    const ImageSize size = image_size(maps.shape[2], maps.shape[3]);
    const Array& points = call.output("out points", points_out, Type::float32, {count, per_image, int64_t{2}});
    const Array& confidence = call.output("out confidence", confidence_out, Type::float32, {count, per_image});
    call.run(
        planes,
        [&](int threads) {
            decode_heatmaps(maps.as<float>(), planes, size, decode_method, half_width, points.as<float>(),
                            confidence.as<float>(), threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::decode_heatmaps(maps.as<float>(), planes, size, decode_method, half_width, points.as<float>(),
                                  confidence.as<float>(), launch);
        },
        [] { return 0; });
    return py::make_tuple(points.object, confidence.object);
}

}  // namespace

void register_decode(py::module_& m) {
    define(m, "decode_heatmaps", &decode, py::arg("heatmaps"), py::arg("method"), py::arg("window"), py::arg("points"),
           py::arg("confidence"));
}

}  // namespace echoseg::bindings
