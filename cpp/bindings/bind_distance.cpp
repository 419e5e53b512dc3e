#include "bindings.hpp"
#include "echoseg/distance.hpp"
#include "options.hpp"

namespace echoseg::bindings {
namespace {

py::object transform(Call& call, py::handle masks, py::handle pixel_spacing, py::handle out) {
    const Spacing steps = spacing(pixel_spacing);
    const Array& in = call.input("masks", masks, Type::uint8, {"N", "H", "W"});
    const int64_t count = in.shape[0];
    const ImageSize size = image_size(in.shape[1], in.shape[2]);
    const Array& distances = call.output("out", out, Type::float32, {count, size.height, size.width});
    call.run(
        count * size.pixels(),
        [&](int threads) { distance_transform(in.data, count, size, steps, distances.as<float>(), threads); },
        [&](const cuda::Launch& launch) {
            cuda::distance_transform(in.data, count, size, steps, distances.as<float>(), launch);
        },
        [&] { return cuda::distance_workspace_bytes(count, size); });
    return distances.object;
}

py::object surface(Call& call, py::handle predicted, py::handle true_masks, py::handle pixel_spacing,
                   py::handle hd95_out, py::handle assd_out) {
    const Spacing steps = spacing(pixel_spacing);
    const Array& a = call.input("predicted", predicted, Type::uint8, {"N", "H", "W"});
    const int64_t count = a.shape[0];
    const ImageSize size = image_size(a.shape[1], a.shape[2]);
    const Array& b = call.input("true", true_masks, Type::uint8, {count, size.height, size.width});
    const Array& hd95 = call.output("out hd95", hd95_out, Type::float64, {count});
    const Array& assd = call.output("out assd", assd_out, Type::float64, {count});
    call.run(
        count,
        [&](int threads) {
            surface_distances(a.data, b.data, count, size, steps, hd95.as<double>(), assd.as<double>(), threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::surface_distances(a.data, b.data, count, size, steps, hd95.as<double>(), assd.as<double>(), launch);
        },
        [&] { return cuda::surface_workspace_bytes(count, size); });
    return py::make_tuple(hd95.object, assd.object);
}

py::object surface_dice(Call& call, py::handle predicted, py::handle true_masks, py::handle within,
                        py::handle pixel_spacing, py::handle out) {
    const double distance = tolerance(within);
    const Spacing steps = spacing(pixel_spacing);
    const Array& a = call.input("predicted", predicted, Type::uint8, {"N", "H", "W"});
    const int64_t count = a.shape[0];
    const ImageSize size = image_size(a.shape[1], a.shape[2]);
    const Array& b = call.input("true", true_masks, Type::uint8, {count, size.height, size.width});
    const Array& nsd = call.output("out", out, Type::float64, {count});
    call.run(
        count,
        [&](int threads) {
            normalized_surface_dice(a.data, b.data, count, size, steps, distance, nsd.as<double>(), threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::normalized_surface_dice(a.data, b.data, count, size, steps, distance, nsd.as<double>(), launch);
        },
        [&] { return cuda::surface_dice_workspace_bytes(count, size); });
    return nsd.object;
}

}  // namespace

void register_distance(py::module_& m) {
    define(m, "distance_transform", &transform, py::arg("masks"), py::arg("spacing"), py::arg("out"));
    define(m, "surface_distances", &surface, py::arg("predicted"), py::arg("true"), py::arg("spacing"), py::arg("hd95"),
           py::arg("assd"));
    define(m, "normalized_surface_dice", &surface_dice, py::arg("predicted"), py::arg("true"), py::arg("tolerance"),
           py::arg("spacing"), py::arg("out"));
}

}  // namespace echoseg::bindings
