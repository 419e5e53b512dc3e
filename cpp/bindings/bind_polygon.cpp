#include "bindings.hpp"
#include "echoseg/polygon.hpp"
#include "options.hpp"

namespace echoseg::bindings {
namespace {

py::object fill(Call& call, py::handle points, py::handle size, py::handle offsets, py::handle rule, py::handle out) {
    const int code = choice("rule", rule, {"center", "opencv", "coverage"});
    const ImageSize image = image_size(size);
    const Contours contours = call.contours("points", points, offsets);
    if (code == 2) {
        const Array& areas = call.output("out", out, Type::float32, {contours.count, image.height, image.width});
        call.run(
            contours.count,
            [&](int threads) {
                check_contours("points", contours);
                cover_polygons(contours, image, areas.as<float>(), threads);
            },
            [&](const cuda::Launch& launch) { cuda::cover_polygons(contours, image, areas.as<float>(), launch); },
            [] { return 0; });
        return areas.object;
    }
    const auto fill_rule = static_cast<FillRule>(code);
    const Array& masks = call.output("out", out, Type::uint8, {contours.count, image.height, image.width});
    call.run(
        contours.count,
        [&](int threads) {
            check_contours("points", contours);
            fill_polygons(contours, image, fill_rule, masks.as<uint8_t>(), threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::fill_polygons(contours, image, fill_rule, masks.as<uint8_t>(), launch);
        },
        [&] { return cuda::fill_workspace_bytes(contours.count, image); });
    return masks.object;
}

}  // namespace

void register_polygon(py::module_& m) {
    define(m, "fill_polygons", &fill, py::arg("points"), py::arg("size"), py::arg("offsets"), py::arg("rule"),
           py::arg("out"));
}

}  // namespace echoseg::bindings
