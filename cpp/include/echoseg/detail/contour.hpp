// The contour of a mask on the grid of its pixels' corners, the same on every device (DeepMind's surface-distance in
// two dimensions).
//
// A mask of (height, width) pixels has (height + 1, width + 1) corners. Pixels outside the image are background. A
// corner is on the contour if its four pixels are neither all background nor all foreground. The four pixels also give
// the length of the contour there.
#pragma once

#include <cmath>
#include <cstdint>

#include "echoseg/detail/host_device.hpp"
#include "echoseg/distance.hpp"

namespace echoseg::detail {

ECHOSEG_HD inline ImageSize corner_grid(ImageSize size) { return {size.height + 1, size.width + 1}; }

// Which corners of a word are on the contour, by the foreground pixels of each. A corner is in at most one of the four.
template <typename Word>
struct Corners {
    Word diagonal;              // one or three pixels
    Word horizontal, vertical;  // two in one row, two in one column
    Word crossing;              // two opposite ones

    ECHOSEG_HD Word all() const { return diagonal | horizontal | vertical | crossing; }
};

// The arguments are words of the pixels above left of each corner, above right, below left and below right.
template <typename Word>
ECHOSEG_HD inline Corners<Word> corners_between(Word a, Word b, Word c, Word d) {
    const Word above = a ^ b, below = c ^ d, left = a ^ c, right = b ^ d;
    return {above ^ below, ~(above | below) & left, ~(left | right) & above, above & below & ~(a ^ d)};
}

// The length of a part of a contour, as numbers of half diagonals and of sides of pixels.
struct ContourLength {
    int64_t halves = 0, columns = 0, rows = 0;

    // Adds the contour at the corner of a bit.
    template <typename Word>
    ECHOSEG_HD void add(const Corners<Word>& corners, int bit) {
        halves += static_cast<int64_t>((corners.diagonal >> bit & 1) + 2 * (corners.crossing >> bit & 1));
        columns += static_cast<int64_t>(corners.horizontal >> bit & 1);
        rows += static_cast<int64_t>(corners.vertical >> bit & 1);
    }

    ECHOSEG_HD double in(Spacing spacing) const {
        const double half = 0.5 * sqrt(spacing.y * spacing.y + spacing.x * spacing.x);
        return half * static_cast<double>(halves) + spacing.x * static_cast<double>(columns) +
               spacing.y * static_cast<double>(rows);
    }
};

// Which distances are within the tolerance. They are computed and rounded as in surface-distance, so that a distance
// that equals the tolerance counts where it does there.
struct Tolerance {
    double distance;
    Spacing spacing;

    ECHOSEG_HD bool includes(int64_t rows, int64_t columns) const {
        const double down = static_cast<double>(rows) * spacing.y, right = static_cast<double>(columns) * spacing.x;
        return sqrt(down * down + right * right) <= distance;
    }

    // The most rows, up to `limit`, that it includes at a distance of so many columns; -1 if it includes none.
    int64_t rows_at(int64_t columns, int64_t limit) const {
        const double fitting = distance / spacing.y;  // up to rounding
        int64_t rows = fitting < static_cast<double>(limit) ? static_cast<int64_t>(fitting) + 1 : limit;
        while (rows >= 0 && !includes(rows, columns)) --rows;
        return rows;
    }

    // The most columns at a distance of so many rows.
    int64_t columns_at(int64_t rows, int64_t limit) const {
        return Tolerance{distance, {spacing.x, spacing.y}}.rows_at(rows, limit);
    }
};

}  // namespace echoseg::detail
