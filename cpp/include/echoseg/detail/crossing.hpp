// Rule "center": on which column an edge crosses a row of pixel centres.
//
// A pixel is inside when an odd number of edges cross its row at or left of its centre. An edge counts for the rows
// y0 <= row < y1, so a vertex on a row belongs to one of its two edges, and horizontal edges to none. Two polygons that share
// an edge see the same crossing (the upper end always comes first), so they neither overlap nor leave a gap.
//
// The crossing is x0 + (row - y0) * (x1 - x0) / (y1 - y0) in double, in exactly this order and without contraction. The
// product comes before the division so that it is exact wherever the coordinates are multiples of 2^-k with differences of at
// most 26 bits (whole, half, … 1/32 pixels at any size we accept): then a crossing on a pixel's centre is found to be one.
#pragma once

#include <cstdint>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

// The smallest integer >= value, clamped to [0, limit]; the clamp comes first, so that the cast cannot overflow.
ECHOSEG_HD inline int32_t ceil_clamped(double value, int32_t limit) {
    const double most = static_cast<double>(limit);
    const double above = value > 0.0 ? value : 0.0;
    const double within = above < most ? above : most;
    const int32_t whole = static_cast<int32_t>(within);
    return whole + static_cast<int32_t>(static_cast<double>(whole) < within);
}

struct Edge {
    double x0, y0, x1, y1;  // y0 <= y1
};

ECHOSEG_HD inline Edge make_edge(float ax, float ay, float bx, float by) {
    const bool down = ay <= by;
    return {down ? ax : bx, down ? ay : by, down ? bx : ax, down ? by : ay};
}

// The first pixel of the row at or right of the crossing; width where that is right of the image. Only for y0 <= row < y1.
ECHOSEG_HD inline int32_t crossing_column(const Edge& edge, int32_t row, int32_t width) {
    const double down = static_cast<double>(row) - edge.y0;
    return ceil_clamped(edge.x0 + (down * (edge.x1 - edge.x0)) / (edge.y1 - edge.y0), width);
}

// The same from an estimate of the crossing that is off by less than 2^-27, as x0 + (row - y0) * slope is even between the
// farthest coordinates. `unsure` says that it lies too near a whole number to tell: then crossing_column has to decide.
ECHOSEG_HD inline int32_t estimated_column(double estimate, int32_t width, bool& unsure) {
    const double most = static_cast<double>(width) - 0.5;
    const double above = estimate > -0.5 ? estimate : -0.5;
    const double within = above < most ? above : most;
    const int32_t column = static_cast<int32_t>(within + 1.0);
    const double gap = static_cast<double>(column) - within;
    unsure = (gap < 1e-6) | (gap > 1.0 - 1e-6);
    return column;
}

}  // namespace echoseg::detail
