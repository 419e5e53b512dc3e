// One heatmap a landmark.
#pragma once

#include "echoseg/types.hpp"

namespace echoseg {

enum class HeatmapKind : int {
    gaussian = 0,   // exp(-d^2 / (2 sigma^2))
    euclidean = 1,  // max(0, 1 - d / radius)
};

struct HeatmapStyle {
    HeatmapKind kind;
    float sigma;   // gaussian only
    float radius;  // zero beyond it; infinity where there is none (gaussian only)
};

// landmarks: (count, per_image, 2); band: (count, height, width) or null; heatmaps: (count, per_image, height, width).
// A heatmap is zero where its image's band is zero.
void render_heatmaps(const float* landmarks, int64_t count, int64_t per_image, ImageSize size, const HeatmapStyle& style,
                     const uint8_t* band, float* heatmaps, int threads);

}  // namespace echoseg
