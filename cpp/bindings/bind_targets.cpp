#include "bindings.hpp"
#include "echoseg/targets.hpp"
#include "options.hpp"

namespace echoseg::bindings {
namespace {

py::object draw_targets(Call& call, py::handle points, py::handle landmark_points, py::handle size, py::handle offsets,
                        py::handle rule, py::handle kernel_size, py::handle shape, py::handle iterations,
                        py::handle kind, py::handle sigma, py::handle radius, py::handle dtype, py::handle mask_out,
                        py::handle band_out, py::handle heatmaps_out, py::handle previous) {
    const TargetOptions options{mask_rule(rule), structuring_element(kernel_size, shape, iterations),
                                heatmap_options(kind, sigma, radius, dtype)};
    const ImageSize image = image_size(size);
    const Contours contours = call.contours("contours", points, offsets);
    const int64_t count = contours.count;
    const Array& marks = call.input("landmarks", landmark_points, Type::float32, {count, "K", int64_t{2}});
    const int64_t per_image = marks.shape[1];
    const Array& old = call.previous(previous, heatmaps_out, count, per_image);
    const Array& mask = call.output("out.mask", mask_out, Type::uint8, {count, image.height, image.width});
    const Array& band = call.output("out.band", band_out, Type::uint8, {count, image.height, image.width});
    const Array& heatmaps = call.output("out.heatmaps", heatmaps_out, type_of(options.heatmap.type),
                                        {count, per_image, image.height, image.width});
    const Landmarks landmarks{marks.as<float>(), old.as<float>(), count, per_image};
    call.run(
        count,
        [&](int threads) {
            check_contours("contours", contours);
            check_landmarks(landmarks);
            render_targets(contours, landmarks, image, options, mask.data, band.data, heatmaps.data, threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::render_targets(contours, landmarks, image, options, mask.data, band.data, heatmaps.data, launch);
        },
        [&] { return cuda::band_workspace_bytes(count, image, options.element); });
    return py::make_tuple(mask.object, band.object, heatmaps.object);
}

}  // namespace

void register_targets(py::module_& m) {
    define(m, "render_targets", &draw_targets, py::arg("contours"), py::arg("landmarks"), py::arg("size"),
           py::arg("offsets"), py::arg("rule"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"),
           py::arg("kind"), py::arg("sigma"), py::arg("radius"), py::arg("dtype"), py::arg("mask"), py::arg("band"),
           py::arg("heatmaps"), py::arg("previous"));
}

}  // namespace echoseg::bindings
