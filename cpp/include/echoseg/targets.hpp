// Mask, border band and heatmaps of a batch in one pass: what the single kernels give, without their intermediates.
#pragma once

#include "echoseg/band.hpp"
#include "echoseg/heatmap.hpp"
#include "echoseg/polygon.hpp"

namespace echoseg {

struct TargetStyle {
    FillRule rule;
    Kernel kernel;
    HeatmapStyle heatmap;
};

// masks, band: (count, height, width); heatmaps: (count, per_image, height, width), each times the band.
void render_targets(const Contours& contours, const float* landmarks, int64_t per_image, ImageSize size,
                    const TargetStyle& style, uint8_t* masks, uint8_t* band, float* heatmaps, int threads);

}  // namespace echoseg
