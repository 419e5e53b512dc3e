// OpenCV's structuring elements as unions of boxes of offsets that all hold the origin: a rectangle is one, a cross two, an
// ellipse one for each row from its middle outwards. Box i of an ellipse may equal its neighbour in width; then the taller one
// serves for both.
#pragma once

#include <cmath>
#include <cstdint>

#include "echoseg/band.hpp"
#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

struct Box {
    int64_t left, right, up, down;
};

// OpenCV's ellipse: row dy reaches round(r * sqrt(1 - (dy / r)^2)) to either side.
ECHOSEG_HD inline int64_t ellipse_half_width(int64_t radius, int64_t dy) {
    const double square = radius > 0 ? static_cast<double>(radius) * static_cast<double>(radius) : 1.0;
    const double rest = static_cast<double>(radius * radius - dy * dy) * (1.0 / square);
    return static_cast<int64_t>(nearbyint(static_cast<double>(radius) * sqrt(rest)));
}

ECHOSEG_HD inline int64_t box_count(const Kernel& kernel) {
    if (kernel.shape == KernelShape::rect) return 1;
    return kernel.shape == KernelShape::cross ? 2 : kernel.size / 2 + 1;
}

// How often the boxes are applied: n times a rectangle is one larger rectangle.
ECHOSEG_HD inline int64_t box_rounds(const Kernel& kernel) {
    return kernel.shape == KernelShape::rect ? 1 : kernel.iterations;
}

// The tallest box comes first.
ECHOSEG_HD inline Box box(const Kernel& kernel, int64_t i) {
    const int64_t before = kernel.size / 2, after = kernel.size - 1 - before, n = kernel.iterations;
    if (kernel.shape == KernelShape::rect) return {before * n, after * n, before * n, after * n};
    if (kernel.shape == KernelShape::cross) return i == 0 ? Box{0, 0, before, after} : Box{before, after, 0, 0};
    const int64_t dy = before - i, dx = ellipse_half_width(before, dy);
    // The kernel ends after `after` rows and columns.
    return {dx, dx < after ? dx : after, dy, dy < after ? dy : after};
}

}  // namespace echoseg::detail
