// The outline of rule "opencv", pixel by pixel in any order: Bresenham's line without its running error.
#pragma once

#include "echoseg/detail/fixed_edge.hpp"

namespace echoseg::detail {

struct Line {
    Pixel left;                // one pixel a step from here on
    int64_t along, across;     // steps, and how many of them also move across
    int64_t down;              // 1 or -1
    bool steep;                // steps go along y
};

// Both ends lie inside the image (clip_edge). It is drawn from its left end to its right one.
ECHOSEG_HD inline Line make_line(Pixel a, Pixel b) {
    const bool swap = b.x < a.x;
    const Pixel left = swap ? b : a, right = swap ? a : b;
    const int64_t dx = right.x - left.x, dy = right.y < left.y ? left.y - right.y : right.y - left.y;
    const bool steep = dy > dx;
    return {left, steep ? dy : dx, steep ? dx : dy, right.y < left.y ? -1 : 1, steep};
}

// Pixel i of 0 … along. The running error starts at along - 2 across and loses 2 across a step; a step across adds 2 along, and
// is taken whenever the error is below 0. So after i steps it was taken ceil((2 across i - along) / (2 along)) times.
ECHOSEG_HD inline Pixel line_pixel(const Line& line, int64_t i) {
    const int64_t taken = line.along == 0 ? 0 : (2 * line.across * i + line.along - 1) / (2 * line.along);
    return line.steep ? Pixel{line.left.x + taken, line.left.y + line.down * i}
                      : Pixel{line.left.x + i, line.left.y + line.down * taken};
}

}  // namespace echoseg::detail
