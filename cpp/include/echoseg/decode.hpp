// From heatmaps back to points.
#pragma once

#include "echoseg/types.hpp"

namespace echoseg {

// heatmaps: (planes, height, width); points: (planes, 2) as (x, y); confidence: (planes), the value found there.
// The first maximum in row-major order; a NaN counts as the maximum, as in NumPy and torch.
void decode_argmax(const float* heatmaps, int64_t planes, ImageSize size, float* points, float* confidence, int threads);

}  // namespace echoseg
