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

// masks, band: (count, height, width); heatmaps: (count, per_image, height, width) of style.heatmap.type, each times the band.
// landmarks, previous: (count, per_image, 2); `previous` may be null and is what render_heatmaps says, of the heatmaps alone.
// A twin draws the same masks and bands bit for bit, and heatmaps as near as render_heatmaps says.
void render_targets(const Contours& contours, const float* landmarks, const float* previous, int64_t per_image, ImageSize size,
                    const TargetStyle& style, uint8_t* masks, uint8_t* band, void* heatmaps, int threads);

namespace cuda {

// previous is not looked at. scratch: what band_scratch says.
void render_targets(const Contours& contours, const float* landmarks, const float* previous, int64_t per_image, ImageSize size,
                    const TargetStyle& style, uint8_t* masks, uint8_t* band, void* heatmaps, void* scratch, Stream stream);

}  // namespace cuda

}  // namespace echoseg
