// Rule "coverage": the area of each pixel, a unit square around its centre, that is inside the contour.
//
// Signed areas under the edges are accumulated, so that they cancel outside the contour, as in font rasterisers (R.
// Levien, font-rs, 2016; S. Barrett, stb_truetype 2, 2014). Within a row, the part of an edge in that row covers the
// area to its right: nothing of the pixels left of it, its height times the mean of clamp(right side - x, 0, 1) of the
// pixels that it crosses, and its full height of the pixels right of it. A row is stored as differences between
// neighbouring pixels and summed at the end.
//
// All sums are whole numbers of 2^-bits, so that the result does not depend on the order of summation, the threads or
// the device, and is exactly 0 right of a closed contour: heights are differences of rounded row coordinates, which
// cancel. The winding number is at most a third of the number of points; the bits above the fraction hold it.
//
// In this file pixel (c, r) is the square from (c, r) to (c + 1, r + 1): callers add 0.5 to both coordinates.
#pragma once

#include <cstdint>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

// Number of fractional bits for a contour of so many points: 24 up to 256 points, 18 for 10,000.
ECHOSEG_HD inline int coverage_bits(int64_t points) {
    int bits = 24;
    while (bits > 1 && points > (static_cast<int64_t>(512) << (24 - bits)) / 2) --bits;
    return bits;
}

// The integral of clamp(t, 0, 1) for t from 0 to u.
ECHOSEG_HD inline double ramp_area(double u) { return u <= 0.0 ? 0.0 : (u < 1.0 ? 0.5 * u * u : u - 0.5); }

// The part of an edge within one row: columns low to high; signed height in units of 2^-bits.
struct CoverageSpan {
    double low, high;
    int32_t height;

    // The area of pixel c to the right of the edge, in units of 2^-bits.
    ECHOSEG_HD int32_t covered(int64_t c) const {
        const double right = static_cast<double>(c) + 1.0, wide = high - low;
        // In a very narrow span the division would amplify rounding errors.
        double mean =
            wide > 1e-9 ? (ramp_area(right - low) - ramp_area(right - high)) / wide : right - 0.5 * (low + high);
        mean = mean < 0.0 ? 0.0 : (mean > 1.0 ? 1.0 : mean);
        const double full = static_cast<double>(height < 0 ? -height : height);
        const auto part = static_cast<int32_t>(full * mean + 0.5);
        return height < 0 ? -part : part;
    }
};

// The span of an edge in a row that it meets (edge.y0 < row + 1 and edge.y1 > row). Downward edges have positive
// heights.
ECHOSEG_HD inline CoverageSpan coverage_span(const Edge& edge, bool downward, int64_t row, int bits) {
    const double top = static_cast<double>(row), scale = static_cast<double>(static_cast<int64_t>(1) << bits);
    const double slope = (edge.x1 - edge.x0) / (edge.y1 - edge.y0);
    double from = 0.0, to = 1.0, x_from = edge.x0 + (top - edge.y0) * slope,
           x_to = edge.x0 + (top + 1.0 - edge.y0) * slope;
    if (edge.y0 > top) {
        from = edge.y0 - top;
        x_from = edge.x0;
    }
    if (edge.y1 < top + 1.0) {
        to = edge.y1 - top;
        x_to = edge.x1;
    }
    const auto height = static_cast<int32_t>(to * scale + 0.5) - static_cast<int32_t>(from * scale + 0.5);
    return {x_from < x_to ? x_from : x_to, x_from < x_to ? x_to : x_from, downward ? height : -height};
}

// The area from the sum over all edges: independent of the orientation, and at most 1.
ECHOSEG_HD inline float coverage_value(int32_t sum, int bits) {
    const int32_t one = static_cast<int32_t>(1) << bits, area = sum < 0 ? -sum : sum;
    return static_cast<float>(area < one ? area : one) / static_cast<float>(one);
}

}  // namespace echoseg::detail
