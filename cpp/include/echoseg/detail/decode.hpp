// The sub-pixel position of a heatmap's maximum. Computed in double; the CUDA implementation agrees within 1e-3 pixels.
#pragma once

#include <cmath>
#include <cstdint>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

struct Plane {
    const float* values;
    int64_t height, width;

    ECHOSEG_HD double at(int64_t x, int64_t y) const { return static_cast<double>(values[y * width + x]); }
};

struct Position {
    double x, y;
};

// The pixels of a window along one axis, and the fractions of the first and the last pixel that are inside it.
struct Span {
    int64_t first, last;
    double first_fraction, last_fraction;

    ECHOSEG_HD double fraction(int64_t i) const {
        return i == first ? first_fraction : i == last ? last_fraction : 1.0;
    }
};

// Near the image's edge the window is shortened by the same amount on both sides.
ECHOSEG_HD inline Span make_span(double center, double window, int64_t pixels) {
    const double before = center + 0.5, after = static_cast<double>(pixels) - 0.5 - center;
    const double available = before < after ? before : after, reach = window < available ? window : available;
    auto first = static_cast<int64_t>(floor(center - reach + 0.5)),
         last = static_cast<int64_t>(floor(center + reach + 0.5));
    first = first < 0 ? 0 : first;
    last = last < pixels ? last : pixels - 1;
    if (first == last) return {first, last, 1.0, 1.0};
    return {first, last, static_cast<double>(first) + 0.5 - (center - reach),
            center + reach - (static_cast<double>(last) - 0.5)};
}

// The centroid of a window's positive values, or `from` if there are none. All values must be finite.
ECHOSEG_HD inline Position centroid(const Plane& plane, Position from, double window) {
    const Span columns = make_span(from.x, window, plane.width), rows = make_span(from.y, window, plane.height);
    double total = 0.0, moment_x = 0.0, moment_y = 0.0;
    for (int64_t y = rows.first; y <= rows.last; ++y) {
        double sum = 0.0, moment = 0.0;
        for (int64_t x = columns.first; x <= columns.last; ++x) {
            const double value = plane.at(x, y), weight = (value > 0.0 ? value : 0.0) * columns.fraction(x);
            sum += weight;
            moment += weight * (static_cast<double>(x) - from.x);
        }
        const double fraction = rows.fraction(y);
        total += fraction * sum;
        moment_x += fraction * moment;
        moment_y += fraction * sum * (static_cast<double>(y) - from.y);
    }
    if (!(total > 0.0)) return from;
    return {from.x + moment_x / total, from.y + moment_y / total};
}

// The centroid of a window around the maximum is biased towards the centre of the window, which is a pixel. So the
// window is moved to its centroid until both agree (mean shift: Cheng, IEEE PAMI 1995). For a symmetric peak they agree
// at its top, for any window.
ECHOSEG_HD inline Position soft_argmax(const Plane& plane, Position top, double window) {
    for (int step = 0; step < 32; ++step) {
        const Position next = centroid(plane, top, window);
        const double dx = next.x - top.x, dy = next.y - top.y;
        top = next;
        if (dx * dx + dy * dy < 1e-6) break;
    }
    return top;
}

// Zhang et al., "Distribution-aware coordinate representation for human pose estimation" (DARK), CVPR 2020: the
// logarithm of a Gaussian is a parabola with its vertex at -H^-1 g from any of its points, with gradient g and Hessian
// H. Derivatives are central differences, the second ones over two pixels, as in the paper. Returns `top` if one of the
// pixels used is outside the plane or not positive, if the parabola has no maximum, or if the vertex is more than one
// pixel away.
ECHOSEG_HD inline Position dark(const Plane& plane, Position top) {
    const auto x = static_cast<int64_t>(top.x), y = static_cast<int64_t>(top.y);
    if (x < 2 || y < 2 || x >= plane.width - 2 || y >= plane.height - 2) return top;
    // The centre; right, left, down, up; the same at distance 2; the four diagonal neighbours.
    const int column[13] = {0, 1, -1, 0, 0, 2, -2, 0, 0, 1, -1, 1, -1};
    const int row[13] = {0, 0, 0, 1, -1, 0, 0, 2, -2, 1, -1, -1, 1};
    double l[13];
    for (int i = 0; i < 13; ++i) {
        const double value = plane.at(x + column[i], y + row[i]);
        if (!(value > 0.0)) return top;
        l[i] = log(value);
    }
    const double gx = 0.5 * (l[1] - l[2]), gy = 0.5 * (l[3] - l[4]);
    const double xx = 0.25 * (l[5] - 2.0 * l[0] + l[6]), yy = 0.25 * (l[7] - 2.0 * l[0] + l[8]);
    const double xy = 0.25 * (l[9] + l[10] - l[11] - l[12]);
    const double determinant = xx * yy - xy * xy;
    if (!(xx < 0.0 && determinant > 0.0)) return top;
    const double dx = (xy * gy - yy * gx) / determinant, dy = (xy * gx - xx * gy) / determinant;
    if (!(fabs(dx) <= 1.0 && fabs(dy) <= 1.0)) return top;
    return {top.x + dx, top.y + dy};
}

}  // namespace echoseg::detail
