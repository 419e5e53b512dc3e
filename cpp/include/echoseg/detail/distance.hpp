// The arithmetic of the distance transform, the same on every instruction set and device.
//
// The first pass finds, for each pixel, the number of rows to the nearest zero of its column, or infinity. For the
// second pass, a zero nearest to a row in a column is called a site of that row. With the column spacing as the unit of
// length, the square of a site is (rows * spacing.y / spacing.x)^2, and the squared distance of a pixel is the minimum
// over the sites of its row of (square of the site + (columns between)^2). With equal spacings these are whole numbers,
// which fit int32 unless the image is very large; otherwise they are computed in double.
#pragma once

#include <cmath>
#include <cstdint>

#include "echoseg/detail/host_device.hpp"
#include "echoseg/distance.hpp"

namespace echoseg::detail {

constexpr int32_t kNoSite = 1 << 30;  // the square of a missing site, larger than any squared distance

// Whether int32 holds all squares, including a squared distance along a row added to kNoSite.
ECHOSEG_HD inline bool has_whole_squares(ImageSize size, Spacing spacing) {
    constexpr int64_t kMaxSide = 1 << 14;
    return spacing.y == spacing.x && size.height <= kMaxSide && size.width <= kMaxSide;
}

ECHOSEG_HD inline int32_t whole_site_square(float rows) {
    const int32_t n = static_cast<int32_t>(rows < 32768.0f ? rows : 32768.0f);
    return n * n;
}

ECHOSEG_HD inline double scaled_site_square(float rows, double ratio) {
    const double d = static_cast<double>(rows) * ratio;
    return d * d;
}

ECHOSEG_HD inline double distance_of(double square, double spacing_x) { return sqrt(square) * spacing_x; }

// Position of the 95th percentile among sorted values, as in numpy.percentile: between values `low` and `low + 1`.
struct Rank {
    int64_t low;
    double fraction;
};

ECHOSEG_HD inline Rank rank_95(int64_t count) {
    const double rank = 0.95 * static_cast<double>(count - 1);
    return {static_cast<int64_t>(rank), rank - floor(rank)};
}

ECHOSEG_HD inline double interpolate(double low, double high, const Rank& rank) {
    return low + (high - low) * rank.fraction;
}

}  // namespace echoseg::detail
