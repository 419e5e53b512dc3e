// The CUDA implementations in a build without CUDA. echoseg.ops checks built() before it calls any of them.
#include <stdexcept>

#include "echoseg/decode.hpp"
#include "echoseg/device.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/targets.hpp"

namespace echoseg::cuda {
namespace {

[[noreturn]] void not_built() {
    throw std::runtime_error("this build has no CUDA kernels: build with ECHOSEG_CUDA=ON");
}

}  // namespace

bool built() { return false; }

std::vector<std::string> device_names() { return {}; }

int64_t fill_workspace_bytes(int64_t, ImageSize) { not_built(); }
int64_t band_workspace_bytes(int64_t, ImageSize, const StructuringElement&) { not_built(); }
int64_t heatmap_workspace_bytes(int64_t, ImageSize) { not_built(); }
int64_t distance_workspace_bytes(int64_t, ImageSize) { not_built(); }
int64_t surface_workspace_bytes(int64_t, ImageSize) { not_built(); }
int64_t surface_dice_workspace_bytes(int64_t, ImageSize) { not_built(); }

void fill_polygons(const Contours&, ImageSize, FillRule, uint8_t*, const Launch&) { not_built(); }
void cover_polygons(const Contours&, ImageSize, float*, const Launch&) { not_built(); }

void dilate(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, const Launch&) { not_built(); }
void erode(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, const Launch&) { not_built(); }
void border_band(const uint8_t*, int64_t, ImageSize, const StructuringElement&, uint8_t*, const Launch&) {
    not_built();
}
void border_band_from_contours(const Contours&, ImageSize, FillRule, const StructuringElement&, uint8_t*,
                               const Launch&) {
    not_built();
}

void render_heatmaps(const Landmarks&, ImageSize, const HeatmapOptions&, const uint8_t*, void*, const Launch&) {
    not_built();
}

void render_targets(const Contours&, const Landmarks&, ImageSize, const TargetOptions&, uint8_t*, uint8_t*, void*,
                    const Launch&) {
    not_built();
}

void decode_heatmaps(const float*, int64_t, ImageSize, DecodeMethod, float, float*, float*, const Launch&) {
    not_built();
}

void distance_transform(const uint8_t*, int64_t, ImageSize, Spacing, float*, const Launch&) { not_built(); }
void surface_distances(const uint8_t*, const uint8_t*, int64_t, ImageSize, Spacing, double*, double*, const Launch&) {
    not_built();
}
void normalized_surface_dice(const uint8_t*, const uint8_t*, int64_t, ImageSize, Spacing, double, double*,
                             const Launch&) {
    not_built();
}

}  // namespace echoseg::cuda
