// Heatmaps, one for each landmark.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

enum class HeatmapKind : int {
    gaussian = 0,   // exp(-d^2 / (2 sigma^2))
    euclidean = 1,  // max(0, 1 - d / radius)
};

// Data type of the heatmaps. Values are rounded to nearest, ties to even; uint8 holds round(255 * value):
// detail/narrow.hpp.
enum class HeatmapType : int { float32 = 0, bfloat16 = 1, float16 = 2, uint8 = 3 };

constexpr int64_t bytes_of(HeatmapType type) {
    return type == HeatmapType::float32 ? 4 : type == HeatmapType::uint8 ? 1 : 2;
}

struct HeatmapOptions {
    HeatmapKind kind;
    float sigma;   // gaussian only
    float radius;  // values farther away are 0; may be infinite for gaussian
    HeatmapType type;
};

// The landmarks of a batch: (count, per_image, 2) float32 (x, y) in pixels.
//
// previous: null, or (count, per_image, 2): the landmarks that the output was drawn from last. The output must then be
// zero except for what a call with these landmarks and the same options drew, with any band. Only those pixels are
// cleared before drawing. This saves time and does not change the result. The CUDA implementation ignores it and writes
// every pixel.
struct Landmarks {
    const float* points;
    const float* previous;
    int64_t count;
    int64_t per_image;
};

// heatmaps: (count, per_image, height, width) of options.type. band: null, or (count, height, width); heatmaps are 0
// where the band of their image is 0.
//
// The CUDA implementation agrees within 1e-6 for float32 (detail/heat.hpp), and for narrower types within the rounding
// step that such a difference can cause.
void render_heatmaps(const Landmarks& landmarks, ImageSize size, const HeatmapOptions& options, const uint8_t* band,
                     void* heatmaps, int threads);

namespace cuda {

int64_t heatmap_workspace_bytes(int64_t count, ImageSize size);
void render_heatmaps(const Landmarks& landmarks, ImageSize size, const HeatmapOptions& options, const uint8_t* band,
                     void* heatmaps, const Launch& launch);

}  // namespace cuda

}  // namespace echoseg
