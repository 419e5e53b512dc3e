// Filled polygons.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

enum class FillRule : int {
    center = 0,  // even-odd rule at pixel centres: detail/crossing.hpp
    opencv = 1,  // pixel for pixel as cv2.fillPoly with vertices rounded to whole pixels: detail/fixed_edge.hpp
};

// Index of the first point with a coordinate that is NaN, infinite or beyond kCoordinateLimit; -1 if there is none.
int64_t find_invalid_point(const float* points, int64_t count);

// masks: (count, height, width). Every pixel is written, with 0 or 1.
void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, int threads);

// Rule "coverage": the covered area of each pixel, in [0, 1]: detail/coverage.hpp. areas: (count, height, width). Every
// pixel is written.
void cover_polygons(const Contours& contours, ImageSize size, float* areas, int threads);

namespace cuda {

int64_t fill_workspace_bytes(int64_t count, ImageSize size);
void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, const Launch& launch);
void cover_polygons(const Contours& contours, ImageSize size, float* areas, const Launch& launch);  // no workspace

}  // namespace cuda

}  // namespace echoseg
