// Rule "coverage": the area of each pixel, a unit square about its centre, that lies inside the outline.
//
// Area under an edge adds up with a sign, so that what is outside cancels, as in font rasterisers (R. Levien, font-rs, 2016;
// S. Barrett, stb_truetype 2, 2014). In each row the part of an edge within it covers, of every pixel, what lies to its right:
// nothing of pixels left of it, its height times the mean of clamp(right side - x, 0, 1) of those it passes, all of its height
// of those right of it. A row's numbers are kept as differences from pixel to pixel and summed at the end.
//
// All sums are whole numbers of 2^-bits, so that neither order, threads nor device change a bit, and right of a closed outline
// exactly nothing is left: heights are differences of rounded rows, which cancel around the outline. An outline winds about a
// point at most once for every three of its points, and so many bits are left above.
//
// Here the pixel (c, r) is the square from (c, r) to (c + 1, r + 1): callers add 0.5 to both coordinates.
#pragma once

#include <cstdint>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

// The bits behind the point, for outlines of so many points: 24 up to 256 points, 18 for 10,000.
ECHOSEG_HD inline int coverage_bits(int64_t points) {
    int bits = 24;
    while (bits > 1 && points > (static_cast<int64_t>(512) << (24 - bits)) / 2) --bits;
    return bits;
}

// The integral of clamp(u, 0, 1) up to u.
ECHOSEG_HD inline double ramp_area(double u) { return u <= 0.0 ? 0.0 : (u < 1.0 ? 0.5 * u * u : u - 0.5); }

// What a row sees of an edge: between low and high in columns, `height` in units of 2^-bits, signed.
struct CoverageSpan {
    double low, high;
    int32_t height;

    // Of pixel c: what lies right of the edge.
    ECHOSEG_HD int32_t covered(int64_t c) const {
        const double right = static_cast<double>(c) + 1.0, wide = high - low;
        // Narrow ones would divide rounding errors by next to nothing.
        double mean = wide > 1e-9 ? (ramp_area(right - low) - ramp_area(right - high)) / wide : right - 0.5 * (low + high);
        mean = mean < 0.0 ? 0.0 : (mean > 1.0 ? 1.0 : mean);
        const double full = static_cast<double>(height < 0 ? -height : height);
        const auto part = static_cast<int32_t>(full * mean + 0.5);
        return height < 0 ? -part : part;
    }
};

// The edge within a row that it meets (edge.y0 < row + 1, edge.y1 > row); downward edges count as positive.
ECHOSEG_HD inline CoverageSpan coverage_span(const Edge& edge, bool downward, int64_t row, int bits) {
    const double top = static_cast<double>(row), scale = static_cast<double>(static_cast<int64_t>(1) << bits);
    const double slope = (edge.x1 - edge.x0) / (edge.y1 - edge.y0);
    double from = 0.0, to = 1.0, x_from = edge.x0 + (top - edge.y0) * slope, x_to = edge.x0 + (top + 1.0 - edge.y0) * slope;
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

// From the sum of all edges to the area: windings in both directions count alike, and none more than once.
ECHOSEG_HD inline float coverage_value(int32_t sum, int bits) {
    const int32_t one = static_cast<int32_t>(1) << bits, area = sum < 0 ? -sum : sum;
    return static_cast<float>(area < one ? area : one) / static_cast<float>(one);
}

}  // namespace echoseg::detail
