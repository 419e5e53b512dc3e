// The two passes of the exact distance transform, for one column and for one pixel of a row.
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
    return {detail::has_whole_squares(size, spacing), spacing.y / spacing.x, spacing.x};
}

// Writes the number of rows from each pixel of a column to the nearest site, or infinity, to out[y * width]. is_site(y)
// tests a row. Returns whether the column has a site.
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

// The minimum of site(c) + (x - c)^2 over a row. Searches outwards from x and stops when (x - c)^2 alone is not
// smaller. At least kNoSite, or infinity, if there is no site.
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

// The distance from pixel x of a row to the nearest site of the image. rows: the row as written by column_distances.
__device__ inline double nearest_site(const float* rows, int64_t x, int64_t width, const Metric& metric) {
    double square;
    if (metric.whole) {
        const int32_t least =
            least_square<int32_t>(x, width, [=](int64_t c) { return detail::whole_site_square(rows[c]); });
        square = least < detail::kNoSite ? static_cast<double>(least) : HUGE_VAL;
    } else {
        const double ratio = metric.ratio;
        square = least_square<double>(x, width, [=](int64_t c) { return detail::scaled_site_square(rows[c], ratio); });
    }
    return detail::distance_of(square, metric.spacing_x);
}

}  // namespace echoseg::cuda
