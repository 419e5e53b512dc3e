#include "bindings.hpp"
#include "echoseg/band.hpp"
#include "options.hpp"

namespace echoseg::bindings {
namespace {

using Cpu = void (*)(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, int);
using Cuda = void (*)(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, const cuda::Launch&);

template <Cpu cpu, Cuda cuda>
py::object morph(Call& call, py::handle masks, py::handle kernel_size, py::handle shape, py::handle iterations,
                 py::handle out) {
    const StructuringElement element = structuring_element(kernel_size, shape, iterations);
    const Array& in = call.input("masks", masks, Type::uint8, {"N", "H", "W"});
    const int64_t count = in.shape[0];
    const ImageSize size = image_size(in.shape[1], in.shape[2]);
    const Array& result = call.output("out", out, Type::uint8, {count, size.height, size.width});
    call.run(
        count, [&](int threads) { cpu(in.as<uint8_t>(), count, size, element, result.as<uint8_t>(), threads); },
        [&](const cuda::Launch& launch) { cuda(in.as<uint8_t>(), count, size, element, result.as<uint8_t>(), launch); },
        [&] { return cuda::band_workspace_bytes(count, size, element); });
    return result.object;
}

py::object from_contours(Call& call, py::handle points, py::handle size, py::handle offsets, py::handle rule,
                         py::handle kernel_size, py::handle shape, py::handle iterations, py::handle out) {
    const FillRule fill_rule = mask_rule(rule);
    const StructuringElement element = structuring_element(kernel_size, shape, iterations);
    const ImageSize image = image_size(size);
    const Contours contours = call.contours("contours", points, offsets);
    const Array& bands = call.output("out", out, Type::uint8, {contours.count, image.height, image.width});
    call.run(
        contours.count,
        [&](int threads) {
            check_contours("contours", contours);
            border_band_from_contours(contours, image, fill_rule, element, bands.as<uint8_t>(), threads);
        },
        [&](const cuda::Launch& launch) {
            cuda::border_band_from_contours(contours, image, fill_rule, element, bands.as<uint8_t>(), launch);
        },
        [&] { return cuda::band_workspace_bytes(contours.count, image, element); });
    return bands.object;
}

}  // namespace

void register_band(py::module_& m) {
    const auto define_morph = [&m](const char* name, const auto& kernel) {
        define(m, name, kernel, py::arg("masks"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"),
               py::arg("out"));
    };
    define_morph("dilate", &morph<&dilate, &cuda::dilate>);
    define_morph("erode", &morph<&erode, &cuda::erode>);
    define_morph("border_band", &morph<&border_band, &cuda::border_band>);
    define(m, "border_band_from_contours", &from_contours, py::arg("contours"), py::arg("size"), py::arg("offsets"),
           py::arg("rule"), py::arg("kernel_size"), py::arg("shape"), py::arg("iterations"), py::arg("out"));
}

}  // namespace echoseg::bindings
