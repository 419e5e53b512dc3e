// Points decoded from heatmaps.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

enum class DecodeMethod : int {
    argmax = 0,       // pixel of the maximum
    soft_argmax = 1,  // centroid of a window that is moved to its centroid until both agree
    dark = 2,         // vertex of the parabola fitted to the logarithms around the maximum
};

// heatmaps: (planes, height, width). points: (planes, 2), (x, y). confidence: (planes), the value at the maximum's
// pixel.
//
// The maximum is the first in row-major order; NaN counts as the maximum, as in NumPy and torch. The point is that
// pixel if its value is not finite or the method has no result (detail/decode.hpp). window: half width in pixels,
// soft_argmax only.
//
// The CUDA implementation returns the same pixels and confidences, and points within 1e-3 pixels.
void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window,
                     float* points, float* confidence, int threads);

namespace cuda {

// No workspace.
void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window,
                     float* points, float* confidence, const Launch& launch);

}  // namespace cuda

}  // namespace echoseg
