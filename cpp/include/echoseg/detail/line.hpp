// The boundary of rule "opencv": Bresenham's line in closed form, so that its pixels can be visited in any order.
#pragma once

#include "echoseg/detail/fixed_edge.hpp"

namespace echoseg::detail {

struct Line {
    Pixel left;             // first pixel
    int64_t along, across;  // number of steps along the major axis, and of steps among them along the minor axis
    int64_t down;           // 1 or -1
    bool steep;             // the major axis is y
};

// The line from the left end to the right end. Both ends must be inside the image (clip_edge).
ECHOSEG_HD inline Line make_line(Pixel a, Pixel b) {
    const bool swap = b.x < a.x;
    const Pixel left = swap ? b : a, right = swap ? a : b;
    const int64_t dx = right.x - left.x, dy = right.y < left.y ? left.y - right.y : right.y - left.y;
    const bool steep = dy > dx;
    return {left, steep ? dy : dx, steep ? dx : dy, right.y < left.y ? -1 : 1, steep};
}

// Pixel i, from 0 to line.along. Bresenham's running error starts at along - 2 across, decreases by 2 across in each
// step, and increases by 2 along in each step along the minor axis, which is taken if the error is negative. So i steps
// contain ceil((2 across i - along) / (2 along)) minor ones.
ECHOSEG_HD inline Pixel line_pixel(const Line& line, int64_t i) {
    const int64_t minor = line.along == 0 ? 0 : (2 * line.across * i + line.along - 1) / (2 * line.along);
    return line.steep ? Pixel{line.left.x + minor, line.left.y + line.down * i}
                      : Pixel{line.left.x + i, line.left.y + line.down * minor};
}

}  // namespace echoseg::detail
