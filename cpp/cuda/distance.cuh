// The two passes of an exact distance transform, for one column and for one pixel of a row.
#pragma once

#include <cmath>

#include "echoseg/detail/distance.hpp"
#include "launch.cuh"

namespace echoseg::cuda {

struct Metric {
    bool whole;
    double ratio, spacing_x;
};

inline Metric metric_of(ImageSize size, Spacing spacing) {
    return {detail::whole_squares(size, spacing), spacing.y / spacing.x, spacing.x};
}

// From each pixel of a column to its next site, in rows, infinity where there is none; is_site(y), out[y * width]. Whether
// there is one.
template <typename IsSite>
__device__ inline bool column_distances(int64_t height, int64_t width, const IsSite& is_site, float* out) {
    float rows = HUGE_VALF;
    for (int64_t y = 0; y < height; ++y) {
        rows = is_site(y) ? 0.0f : rows + 1.0f;
        out[y * width] = rows;
    }
    const bool any = rows < HUGE_VALF;
    for (int64_t y = height - 2; y >= 0; --y) {
        const float above = out[y * width];
        rows = rows + 1.0f < above ? rows + 1.0f : above;
        out[y * width] = rows;
    }
    return any;
}

// The least of site(c) + (x - c)^2 over a row: outwards from x, until the columns between alone are farther than the nearest so
// far. At least kFarSquare, or infinity, where there is no site.
template <typename Square, typename Site>
__device__ inline Square least_square(int64_t x, int64_t width, const Site& site) {
    Square least = site(x);
    for (int64_t d = 1; d < width; ++d) {
        const Square away = static_cast<Square>(d) * static_cast<Square>(d);
        if (away >= least || (d > x && x + d >= width)) break;
        if (d <= x) {
            const Square here = site(x - d) + away;
            least = here < least ? here : least;
        }
        if (x + d < width) {
            const Square here = site(x + d) + away;
            least = here < least ? here : least;
        }
    }
    return least;
}

// From a row's pixel x to the nearest site of the image; `rows`: the row's, as column_distances leaves them.
__device__ inline double nearest_site(const float* rows, int64_t x, int64_t width, const Metric& metric) {
    double square;
    if (metric.whole) {
        const int32_t least = least_square<int32_t>(x, width, [=](int64_t c) { return detail::whole_site(rows[c]); });
        square = least < detail::kFarSquare ? static_cast<double>(least) : HUGE_VAL;
    } else {
        const double ratio = metric.ratio;
        square = least_square<double>(x, width, [=](int64_t c) { return detail::scaled_site(rows[c], ratio); });
    }
    return detail::distance_of(square, metric.spacing_x);
}

}  // namespace echoseg::cuda
