// The CUDA entry points of a build without CUDA. echoseg.ops asks built() first, so nobody should come to the others.
#include <stdexcept>

#include "echoseg/decode.hpp"
#include "echoseg/device.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/targets.hpp"

namespace echoseg::cuda {
namespace {

[[noreturn]] void missing() { throw std::runtime_error("this build has no CUDA kernels: build with ECHOSEG_CUDA=ON"); }

}  // namespace

bool built() { return false; }

std::vector<std::string> device_names() { return {}; }

int64_t fill_scratch(int64_t, ImageSize) { missing(); }
int64_t band_scratch(int64_t, ImageSize, const Kernel&) { missing(); }
int64_t heatmap_scratch(int64_t, ImageSize) { missing(); }
int64_t distance_scratch(int64_t, ImageSize) { missing(); }
int64_t surface_scratch(int64_t, ImageSize) { missing(); }

void fill_polygons(const Contours&, ImageSize, FillRule, uint8_t*, void*, Stream) { missing(); }
void cover_polygons(const Contours&, ImageSize, float*, Stream) { missing(); }

void dilate(const uint8_t*, int64_t, ImageSize, const Kernel&, uint8_t*, void*, Stream) { missing(); }
void erode(const uint8_t*, int64_t, ImageSize, const Kernel&, uint8_t*, void*, Stream) { missing(); }
void border_band(const uint8_t*, int64_t, ImageSize, const Kernel&, uint8_t*, void*, Stream) { missing(); }
void border_band_from_contours(const Contours&, ImageSize, FillRule, const Kernel&, uint8_t*, void*, Stream) { missing(); }

void render_heatmaps(const float*, const float*, int64_t, int64_t, ImageSize, const HeatmapStyle&, const uint8_t*, void*, void*,
                     Stream) {
    missing();
}

void render_targets(const Contours&, const float*, const float*, int64_t, ImageSize, const TargetStyle&, uint8_t*, uint8_t*,
                    void*, void*, Stream) {
    missing();
}

void decode_heatmaps(const float*, int64_t, ImageSize, DecodeMethod, float, float*, float*, Stream) { missing(); }

void distance_transform(const uint8_t*, int64_t, ImageSize, Spacing, float*, void*, Stream) { missing(); }
void surface_distances(const uint8_t*, const uint8_t*, int64_t, ImageSize, Spacing, double*, double*, void*, Stream) { missing(); }

}  // namespace echoseg::cuda
