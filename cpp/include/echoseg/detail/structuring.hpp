// OpenCV's structuring elements as unions of boxes of offsets. Every box contains the origin. A rectangle is one box, a
// cross two, and an ellipse one for each row from the outermost to the middle one. Neighbouring boxes of an ellipse may
// have the same width; the taller one, which comes first, then contains the other.
#pragma once

#include <cmath>
#include <cstdint>

#include "echoseg/band.hpp"
#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

struct Box {
    int64_t left, right, up, down;
};

// OpenCV's ellipse: row dy extends round(r * sqrt(1 - (dy / r)^2)) pixels to either side.
ECHOSEG_HD inline int64_t ellipse_half_width(int64_t radius, int64_t dy) {
    const double square = radius > 0 ? static_cast<double>(radius) * static_cast<double>(radius) : 1.0;
    const double remainder = static_cast<double>(radius * radius - dy * dy) * (1.0 / square);
    return static_cast<int64_t>(nearbyint(static_cast<double>(radius) * sqrt(remainder)));
}

ECHOSEG_HD inline int64_t box_count(const StructuringElement& element) {
    if (element.shape == ElementShape::rect) return 1;
    return element.shape == ElementShape::cross ? 2 : element.size / 2 + 1;
}

// How many times the boxes are applied: n iterations of a rectangle are one iteration of a larger rectangle.
ECHOSEG_HD inline int64_t box_iterations(const StructuringElement& element) {
    return element.shape == ElementShape::rect ? 1 : element.iterations;
}

// Box i, the tallest first.
ECHOSEG_HD inline Box box(const StructuringElement& element, int64_t i) {
    const int64_t before = element.size / 2, after = element.size - 1 - before, n = element.iterations;
    if (element.shape == ElementShape::rect) return {before * n, after * n, before * n, after * n};
    if (element.shape == ElementShape::cross) return i == 0 ? Box{0, 0, before, after} : Box{before, after, 0, 0};
    const int64_t dy = before - i, dx = ellipse_half_width(before, dy);
    // An element of even size has one row and one column less after its anchor.
    return {dx, dx < after ? dx : after, dy, dy < after ? dy : after};
}

// The offsets in one row of an element.
struct Sides {
    int64_t left, right;
};

// Row dy of a cross or an ellipse, the row of the anchor being 0.
ECHOSEG_HD inline Sides sides(const StructuringElement& element, int64_t dy) {
    const int64_t before = element.size / 2, after = element.size - 1 - before;
    if (element.shape == ElementShape::cross) return dy == 0 ? Sides{before, after} : Sides{0, 0};
    const int64_t dx = ellipse_half_width(before, dy);
    return {dx, dx < after ? dx : after};
}

}  // namespace echoseg::detail
