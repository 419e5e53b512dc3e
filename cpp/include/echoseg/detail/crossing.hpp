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

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

// The smallest integer >= value, clamped to [0, limit]; the clamp comes first, so that the cast cannot overflow.
ECHOSEG_HD inline int ceil_clamped(double value, int limit) {
    if (!(value > 0.0)) return 0;
    if (value > static_cast<double>(limit)) return limit;
    const int whole = static_cast<int>(value);
    return whole + (static_cast<double>(whole) < value ? 1 : 0);
}

struct Edge {
    double x0, y0, x1, y1;  // y0 <= y1
    int first_row, end_row;

    ECHOSEG_HD double crossing(int row) const {
        return x0 + ((static_cast<double>(row) - y0) * (x1 - x0)) / (y1 - y0);
    }
};

ECHOSEG_HD inline Edge make_edge(float ax, float ay, float bx, float by, int height) {
    const bool down = ay <= by;
    Edge edge;
    edge.x0 = down ? ax : bx;
    edge.y0 = down ? ay : by;
    edge.x1 = down ? bx : ax;
    edge.y1 = down ? by : ay;
    edge.first_row = ceil_clamped(edge.y0, height);
    edge.end_row = ceil_clamped(edge.y1, height);
    return edge;
}

}  // namespace echoseg::detail
