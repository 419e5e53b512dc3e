// Rule "center": the column at which an edge crosses a row of pixel centres.
//
// A pixel is inside if an odd number of edges cross its row at or left of its centre. An edge counts for the rows y0 <=
// row < y1, so a vertex on a row belongs to one of its two edges, and a horizontal edge counts for none. Both polygons
// at a shared edge compute the same crossing, since the upper end always comes first: they neither overlap nor leave a
// gap.
//
// The crossing is x0 + (row - y0) * (x1 - x0) / (y1 - y0), in double, in this order and without contraction. The
// product comes before the division so that it is exact if all coordinates are multiples of 2^-k and their differences
// have at most 26 bits (whole, half, … 1/32 pixels, at any accepted size). A crossing on a pixel centre is then found
// exactly.
#pragma once

#include <cstdint>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

// The smallest integer >= value, clamped to [0, limit]. Clamping comes first, so that the conversion cannot overflow.
ECHOSEG_HD inline int32_t ceil_clamped(double value, int32_t limit) {
    const double upper = static_cast<double>(limit);
    const double positive = value > 0.0 ? value : 0.0;
    const double clamped = positive < upper ? positive : upper;
    const int32_t whole = static_cast<int32_t>(clamped);
    return whole + static_cast<int32_t>(static_cast<double>(whole) < clamped);
}

struct Edge {
    double x0, y0, x1, y1;  // y0 <= y1
};

ECHOSEG_HD inline Edge make_edge(float ax, float ay, float bx, float by) {
    const bool down = ay <= by;
    return {down ? ax : bx, down ? ay : by, down ? bx : ax, down ? by : ay};
}

// The first column at or right of the crossing with a row, or width if it is right of the image. Requires y0 <= row <
// y1.
ECHOSEG_HD inline int32_t crossing_column(const Edge& edge, int32_t row, int32_t width) {
    const double down = static_cast<double>(row) - edge.y0;
    return ceil_clamped(edge.x0 + (down * (edge.x1 - edge.x0)) / (edge.y1 - edge.y0), width);
}

// The same from an estimate of the crossing with an error below 2^-27, as x0 + (row - y0) * slope has at any accepted
// coordinates. Sets `unsure` if the estimate is too close to a whole number; crossing_column must then be used instead.
ECHOSEG_HD inline int32_t estimated_column(double estimate, int32_t width, bool& unsure) {
    const double upper = static_cast<double>(width) - 0.5;
    const double positive = estimate > -0.5 ? estimate : -0.5;
    const double clamped = positive < upper ? positive : upper;
    const int32_t column = static_cast<int32_t>(clamped + 1.0);
    const double gap = static_cast<double>(column) - clamped;
    unsure = (gap < 1e-6) | (gap > 1.0 - 1e-6);
    return column;
}

}  // namespace echoseg::detail
