// Rule "opencv": the integer arithmetic of cv2.fillPoly (8-connected, shift 0), reimplemented.
//
// Vertices are whole pixels. The result is the union of two drawings:
//  1. The boundary: each edge is clipped to the image and drawn by Bresenham's algorithm from its left to its right
//     end.
//  2. The interior: each edge that is not horizontal crosses the rows y0 <= row < y1 at x + (row - y0) * dx in 16.16
//     fixed point, where dx is a truncating division. The sorted crossings of a row form pairs, and a pair fills
//     ceil(left) to floor(right). Equivalently, without sorting: a pixel is filled if an odd number of crossings are at
//     or left of it, or if a crossing is exactly on it.
//
// If an end is outside the image, the slope is computed from the clipped ends. OpenCV's clipping moves the ends in
// place even if it then finds that the edge misses the image, and OpenCV keeps the original rows (but not the original
// columns) if both clipped ends are on one row. Both properties affect pixels and are reproduced here.
#pragma once

#include <cstdint>
#include <cstring>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

struct Pixel {
    int64_t x, y;
};

ECHOSEG_HD inline bool operator==(Pixel a, Pixel b) { return a.x == b.x && a.y == b.y; }

ECHOSEG_HD inline bool inside(Pixel p, int64_t height, int64_t width) {
    return p.x >= 0 && p.x < width && p.y >= 0 && p.y < height;
}

ECHOSEG_HD inline int side_x(int64_t x, int64_t right) { return x < 0 ? 1 : (x > right ? 2 : 0); }
ECHOSEG_HD inline int side_y(int64_t y, int64_t bottom) { return y < 0 ? 4 : (y > bottom ? 8 : 0); }

// Clips the edge to the image in place. Returns false if no part of it is inside.
ECHOSEG_HD inline bool clip_edge(Pixel& a, Pixel& b, int64_t height, int64_t width) {
    const int64_t right = width - 1, bottom = height - 1;
    int side_a = side_x(a.x, right) | side_y(a.y, bottom);
    int side_b = side_x(b.x, right) | side_y(b.y, bottom);
    if ((side_a & side_b) != 0 || (side_a | side_b) == 0) return (side_a | side_b) == 0;

    if (side_a & 12) {
        const int64_t row = side_a & 4 ? 0 : bottom;
        a.x += (row - a.y) * (b.x - a.x) / (b.y - a.y);
        a.y = row;
        side_a = side_x(a.x, right);
    }
    if (side_b & 12) {
        const int64_t row = side_b & 4 ? 0 : bottom;
        b.x += (row - b.y) * (b.x - a.x) / (b.y - a.y);
        b.y = row;
        side_b = side_x(b.x, right);
    }
    if ((side_a & side_b) == 0 && (side_a | side_b) != 0) {
        if (side_a) {
            const int64_t column = side_a == 1 ? 0 : right;
            a.y += (column - a.x) * (b.y - a.y) / (b.x - a.x);
            a.x = column;
            side_a = 0;
        }
        if (side_b) {
            const int64_t column = side_b == 1 ? 0 : right;
            b.y += (column - b.x) * (b.y - a.y) / (b.x - a.x);
            b.x = column;
            side_b = 0;
        }
    }
    return (side_a | side_b) == 0;
}

struct FixedEdge {
    int64_t x, dx;  // 16.16 fixed point; x is the crossing of first_row, which may be above the image
    int64_t first_row, end_row;
};

// clipped_a, clipped_b: the ends after clip_edge, unchanged if both are inside. Returns false for a horizontal edge.
ECHOSEG_HD inline bool make_fixed_edge(Pixel a, Pixel b, Pixel clipped_a, Pixel clipped_b, FixedEdge& edge) {
    if (a.y == b.y) return false;
    if (clipped_a.y == clipped_b.y) {
        clipped_a.y = a.y;
        clipped_b.y = b.y;
    }
    const int64_t xa = clipped_a.x * 65536, xb = clipped_b.x * 65536;
    edge.dx = (xb - xa) / (clipped_b.y - clipped_a.y);
    if (a.y < b.y) {
        edge.first_row = a.y;
        edge.end_row = b.y;
        edge.x = xa + (a.y - clipped_a.y) * edge.dx;
    } else {
        edge.first_row = b.y;
        edge.end_row = a.y;
        edge.x = xb + (b.y - clipped_b.y) * edge.dx;
    }
    return true;
}

// Rounds to the nearest whole number, ties to even. Requires |value| <= 2^22.
ECHOSEG_HD inline int32_t nearest(float value) {
    const float shifted = value + 12582912.0f;  // 1.5 * 2^23: no bits remain for the fraction
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4b400000;
}

}  // namespace echoseg::detail
