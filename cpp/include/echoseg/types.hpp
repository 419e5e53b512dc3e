// The few plain types that every kernel shares. No Python, no torch: raw pointers and sizes.
#pragma once

#include <cstdint>

namespace echoseg {

struct ImageSize {
    int64_t height;
    int64_t width;

    int64_t pixels() const { return height * width; }
};

// A batch of closed outlines, (x, y) float32 pairs one after the other; an integer is a pixel's centre.
// With offsets, contour i is points[offsets[i] .. offsets[i + 1]) and points_each the number of all points (only CUDA looks at
// it); without, every contour has points_each points.
struct Contours {
    const float* points;
    const int64_t* offsets;
    int64_t count;
    int64_t points_each;

    int64_t begin(int64_t i) const { return offsets ? offsets[i] : i * points_each; }
    int64_t end(int64_t i) const { return offsets ? offsets[i + 1] : (i + 1) * points_each; }
};

// Coordinates beyond this are refused: in double, every difference and product below it stays finite and fine enough.
constexpr float kCoordinateLimit = 1048576.0f;  // 2^20

}  // namespace echoseg
