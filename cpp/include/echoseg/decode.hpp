// From heatmaps back to points.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

enum class DecodeMethod : int {
    argmax = 0,       // the pixel
    soft_argmax = 1,  // the centroid of a window that follows it
    dark = 2,         // the top of the parabola through the logarithms about it
};

// heatmaps: (planes, height, width); points: (planes, 2) as (x, y); confidence: (planes), the value at the maximum's pixel.
// The maximum is the first in row-major order; a NaN counts as the maximum, as in NumPy and torch. Its pixel is the point where
// that value is not finite or the method finds nothing better (detail/decode.hpp). window: soft_argmax only, pixels.
// A twin finds the same pixels and values, and points within 1e-3.
void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window, float* points,
                     float* confidence, int threads);

namespace cuda {

void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window, float* points,
                     float* confidence, Stream stream);

}  // namespace cuda

}  // namespace echoseg
