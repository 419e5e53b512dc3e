// Masks, border bands and heatmaps of a batch in one pass, equal to the results of the single kernels.
#pragma once

#include "echoseg/band.hpp"
#include "echoseg/heatmap.hpp"
#include "echoseg/polygon.hpp"

namespace echoseg {

struct TargetOptions {
    FillRule rule;
    StructuringElement element;
    HeatmapOptions heatmap;
};

// masks, band: (count, height, width). heatmaps: (count, per_image, height, width) of options.heatmap.type, multiplied
// by the band. contours.count equals landmarks.count. landmarks.previous refers to the heatmaps alone.
//
// The CUDA implementation draws the same masks and bands bit for bit, and heatmaps as close as render_heatmaps
// documents.
void render_targets(const Contours& contours, const Landmarks& landmarks, ImageSize size, const TargetOptions& options,
                    uint8_t* masks, uint8_t* band, void* heatmaps, int threads);

namespace cuda {

// Workspace: band_workspace_bytes.
void render_targets(const Contours& contours, const Landmarks& landmarks, ImageSize size, const TargetOptions& options,
                    uint8_t* masks, uint8_t* band, void* heatmaps, const Launch& launch);

}  // namespace cuda

}  // namespace echoseg
