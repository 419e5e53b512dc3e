// What a distance is, to the bit, on every instruction set and device. Along its column a pixel is a whole number of rows from
// the nearest zero, or infinitely far. A column's zero, seen from a row, is a site. In units of the distance between columns,
// a site's square is (rows * spacing.y / spacing.x)^2, and a pixel's square the least site's square + (columns between)^2 over
// its row's sites. Where the spacing is the same along both axes these are whole numbers, and 32 bits hold those of an image whose
// sides are not enormous; else double does.
#pragma once

#include <cmath>
#include <cstdint>

#include "echoseg/detail/host_device.hpp"
#include "echoseg/distance.hpp"

namespace echoseg::detail {

constexpr int32_t kFarSquare = 1 << 30;  // of a site that is not there: more than the square of any distance

// Whether squares fit an int32, and still do when the square of a distance along a row is added to kFarSquare.
ECHOSEG_HD inline bool whole_squares(ImageSize size, Spacing spacing) {
    constexpr int64_t most = 1 << 14;
    return spacing.y == spacing.x && size.height <= most && size.width <= most;
}

ECHOSEG_HD inline int32_t whole_site(float rows) {
    const int32_t n = static_cast<int32_t>(rows < 32768.0f ? rows : 32768.0f);
    return n * n;
}

ECHOSEG_HD inline double scaled_site(float rows, double ratio) {
    const double d = static_cast<double>(rows) * ratio;
    return d * d;
}

ECHOSEG_HD inline double distance_of(double square, double spacing_x) { return sqrt(square) * spacing_x; }

// Where the 95th percentile of so many values lies, as NumPy has it: between the value of rank `low` and the next, `share` of
// the way.
struct Rank {
    int64_t low;
    double share;
};

ECHOSEG_HD inline Rank rank_95(int64_t count) {
    const double rank = 0.95 * static_cast<double>(count - 1);
    return {static_cast<int64_t>(rank), rank - floor(rank)};
}

ECHOSEG_HD inline double between(double low, double high, const Rank& rank) { return low + (high - low) * rank.share; }

}  // namespace echoseg::detail
