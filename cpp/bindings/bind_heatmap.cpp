#include "bindings.hpp"
#include "echoseg/heatmap.hpp"
#include "options.hpp"

namespace echoseg::bindings {
namespace {

py::object draw_heatmaps(Call& call, py::handle points, py::handle size, py::handle kind, py::handle sigma,
                         py::handle radius, py::handle band, py::handle dtype, py::handle out, py::handle previous) {
    const HeatmapOptions options = heatmap_options(kind, sigma, radius, dtype);
    const ImageSize image = image_size(size);
    const Array& marks = call.input("landmarks", points, Type::float32, {"N", "K", int64_t{2}});
    const int64_t count = marks.shape[0], per_image = marks.shape[1];
    const Array& limits = call.optional("band", band, Type::uint8, {count, image.height, image.width});
    const Array& old = call.previous(previous, out, count, per_image);
    const Array& heatmaps =
        call.output("out", out, type_of(options.type), {count, per_image, image.height, image.width});
    const Landmarks landmarks{marks.as<float>(), old.as<float>(), count, per_image};
    call.run(
        count,
        [&](int threads) {
            check_landmarks(landmarks);
            render_heatmaps(landmarks, image, options, limits.as<uint8_t>(), heatmaps.data, threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::render_heatmaps(landmarks, image, options, limits.as<uint8_t>(), heatmaps.data, launch);
        },
        [&] { return cuda::heatmap_workspace_bytes(count, image); });
    return heatmaps.object;
}

}  // namespace

void register_heatmap(py::module_& m) {
    define(m, "render_heatmaps", &draw_heatmaps, py::arg("landmarks"), py::arg("size"), py::arg("kind"),
           py::arg("sigma"), py::arg("radius"), py::arg("band"), py::arg("dtype"), py::arg("out"), py::arg("previous"));
}

}  // namespace echoseg::bindings
