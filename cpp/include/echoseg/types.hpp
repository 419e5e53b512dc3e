// Types shared by all kernels. Nothing in cpp/ outside bindings/ depends on Python, and nothing on torch.
#pragma once

#include <cstdint>

namespace echoseg {

struct ImageSize {
    int64_t height;
    int64_t width;

    int64_t pixels() const { return height * width; }
};

// A batch of closed contours: float32 (x, y) pairs in pixels; integer coordinates are pixel centres.
//
// With offsets, contour i is points[offsets[i]] to points[offsets[i + 1] - 1], and points_per_contour is the total
// number of points, which only the CUDA implementation reads. Without offsets, every contour has points_per_contour
// points.
struct Contours {
    const float* points;
    const int64_t* offsets;
    int64_t count;
    int64_t points_per_contour;

    int64_t begin(int64_t i) const { return offsets ? offsets[i] : i * points_per_contour; }
    int64_t end(int64_t i) const { return offsets ? offsets[i + 1] : (i + 1) * points_per_contour; }
};

// Largest absolute coordinate that is accepted. Below it, differences and products in double stay finite and precise
// enough.
constexpr float kCoordinateLimit = 1048576.0f;  // 2^20

}  // namespace echoseg
