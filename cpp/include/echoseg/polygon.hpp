// Filled polygons.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

enum class FillRule : int {
    center = 0,  // even-odd at pixel centres: detail/crossing.hpp
    opencv = 1,  // what cv2.fillPoly draws from the rounded vertices, its boundary included: detail/fixed_edge.hpp
};

// Index of the first point that is NaN, infinite or beyond kCoordinateLimit, or -1 where all are fit to draw.
int64_t find_bad_point(const float* points, int64_t count);

// masks: (count, height, width), written whole with 0 and 1.
void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, int threads);

// Rule "coverage": the area of each pixel inside, in [0, 1]: detail/coverage.hpp. areas: (count, height, width), written whole.
void cover_polygons(const Contours& contours, ImageSize size, float* areas, int threads);

namespace cuda {

// scratch: as many bytes of the device's memory as *_scratch says, 16-byte aligned; often none, and then it may be null.
int64_t fill_scratch(int64_t count, ImageSize size);
void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, void* scratch, Stream stream);
void cover_polygons(const Contours& contours, ImageSize size, float* areas, Stream stream);

}  // namespace cuda

}  // namespace echoseg
