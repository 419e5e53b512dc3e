// Slow reference implementations of the kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "echoseg/band.hpp"
#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/line.hpp"
#include "echoseg/types.hpp"

namespace reference {

using namespace echoseg;
using Mask = std::vector<uint8_t>;
using Contour = std::vector<float>;  // x, y, x, y, …

// The even-odd rule at pixel centres: each edge flips the pixels at or right of its crossing.
inline Mask fill_center(const Contour& contour, ImageSize size) {
    Mask mask(static_cast<size_t>(size.pixels()));
    const size_t count = contour.size() / 2;
    for (size_t i = 0; i < count; ++i) {
        const float *a = &contour[2 * i], *b = &contour[2 * ((i + 1) % count)];
        const detail::Edge edge = detail::make_edge(a[0], a[1], b[0], b[1]);
        for (int64_t y = 0; y < size.height; ++y) {
            if (!(edge.y0 <= static_cast<double>(y) && static_cast<double>(y) < edge.y1)) continue;
            const double down = static_cast<double>(y) - edge.y0;
            const double crossing = edge.x0 + (down * (edge.x1 - edge.x0)) / (edge.y1 - edge.y0);
            for (int64_t x = 0; x < size.width; ++x) mask[y * size.width + x] ^= static_cast<double>(x) >= crossing;
        }
    }
    return mask;
}

// The pixels of the boundary, and those with an odd number of crossings at or left of them or with a crossing exactly
// on them.
inline Mask fill_opencv(const Contour& contour, ImageSize size) {
    Mask odd(static_cast<size_t>(size.pixels())), on(odd);
    const size_t count = contour.size() / 2;
    const auto pixel = [&](size_t i) {
        return detail::Pixel{std::lrintf(contour[2 * (i % count)]), std::lrintf(contour[2 * (i % count) + 1])};
    };
    for (size_t i = 0; i < count; ++i) {
        const detail::Pixel from = pixel(i), to = pixel(i + 1);
        detail::Pixel a = from, b = to;
        if (detail::clip_edge(a, b, size.height, size.width)) {
            const detail::Line line = detail::make_line(a, b);
            for (int64_t step = 0; step <= line.along; ++step) {
                const detail::Pixel p = detail::line_pixel(line, step);
                on[p.y * size.width + p.x] = 1;
            }
        }
        detail::FixedEdge edge;
        if (!detail::make_fixed_edge(from, to, a, b, edge)) continue;
        for (int64_t y = std::max<int64_t>(edge.first_row, 0); y < std::min(edge.end_row, size.height); ++y)
            for (int64_t x = 0; x < size.width; ++x) {
                const int64_t crossing = edge.x + (y - edge.first_row) * edge.dx;
                odd[y * size.width + x] ^= crossing <= x * 65536;
                on[y * size.width + x] |= crossing == x * 65536;
            }
    }
    for (size_t i = 0; i < odd.size(); ++i) odd[i] |= on[i];
    return odd;
}

// The offsets (down, right) of cv2.getStructuringElement from its anchor.
inline std::vector<std::pair<int64_t, int64_t>> element_offsets(const StructuringElement& element) {
    const int64_t anchor = element.size / 2;
    std::vector<std::pair<int64_t, int64_t>> offsets;
    for (int64_t i = 0; i < element.size; ++i) {
        int64_t first = 0, end = element.size;
        const int64_t dy = i - anchor;
        if (element.shape == ElementShape::cross && dy != 0) {
            first = anchor;
            end = anchor + 1;
        }
        if (element.shape == ElementShape::ellipse) {
            const double square = anchor ? static_cast<double>(anchor * anchor) : 1.0;
            const double remainder = static_cast<double>(anchor * anchor - dy * dy) * (1.0 / square);
            const auto dx = static_cast<int64_t>(std::nearbyint(static_cast<double>(anchor) * std::sqrt(remainder)));
            first = std::max<int64_t>(anchor - dx, 0);
            end = std::min<int64_t>(anchor + dx + 1, element.size);
        }
        for (int64_t j = first; j < end; ++j) offsets.emplace_back(dy, j - anchor);
    }
    return offsets;
}

// Dilation or erosion. Pixels outside the image are ignored.
inline Mask morph(Mask mask, ImageSize size, const StructuringElement& element, bool dilate) {
    const auto offsets = element_offsets(element);
    for (int iteration = 0; iteration < element.iterations; ++iteration) {
        const Mask before = mask;
        for (int64_t y = 0; y < size.height; ++y)
            for (int64_t x = 0; x < size.width; ++x) {
                uint8_t& value = mask[y * size.width + x] = !dilate;
                for (const auto& [dy, dx] : offsets) {
                    const int64_t v = y + dy, u = x + dx;
                    if (v < 0 || u < 0 || v >= size.height || u >= size.width) continue;
                    if ((before[v * size.width + u] != 0) == dilate) value = dilate;
                }
            }
    }
    return mask;
}

inline double distance(const Mask& mask, ImageSize size, double spacing_y, double spacing_x, int64_t pixel) {
    double least = std::numeric_limits<double>::infinity();
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x) {
            const double down = spacing_y * static_cast<double>(y - pixel / size.width);
            const double right = spacing_x * static_cast<double>(x - pixel % size.width);
            if (!mask[y * size.width + x]) least = std::min(least, down * down + right * right);
        }
    return std::sqrt(least);
}

// 0 on border pixels, 1 elsewhere. A border pixel is a foreground pixel next to the background or the image's edge.
inline Mask outside_border(const Mask& mask, ImageSize size) {
    Mask outside(mask.size(), 1);
    const auto set = [&](int64_t y, int64_t x) {
        return y >= 0 && x >= 0 && y < size.height && x < size.width && mask[y * size.width + x];
    };
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x)
            if (set(y, x) && !(set(y - 1, x) && set(y + 1, x) && set(y, x - 1) && set(y, x + 1)))
                outside[y * size.width + x] = 0;
    return outside;
}

// (HD95, ASSD)
inline std::pair<double, double> surface(const Mask& a, const Mask& b, ImageSize size, double spacing_y,
                                         double spacing_x) {
    const Mask borders[2] = {outside_border(a, size), outside_border(b, size)};
    std::vector<double> near[2];
    double sum = 0, hd95 = 0;
    for (int side = 0; side < 2; ++side)
        for (int64_t p = 0; p < size.pixels(); ++p)
            if (!borders[side][p]) near[side].push_back(distance(borders[1 - side], size, spacing_y, spacing_x, p));
    if (near[0].empty() || near[1].empty()) {
        const double worst = near[0].empty() && near[1].empty() ? 0 : std::numeric_limits<double>::infinity();
        return {worst, worst};
    }
    for (std::vector<double>& values : near) {
        std::sort(values.begin(), values.end());
        const double rank = 0.95 * static_cast<double>(values.size() - 1);
        const auto low = static_cast<size_t>(rank);
        const double next = values[std::min(low + 1, values.size() - 1)];
        hd95 = std::max(hd95, values[low] + (next - values[low]) * (rank - static_cast<double>(low)));
        for (const double value : values) sum += value;
    }
    return {hd95, sum / static_cast<double>(near[0].size() + near[1].size())};
}

// The corner (y, x) of a mask's pixels is that of pixel (y, x) above and to the left.
struct Corner {
    int64_t y, x;
    double length;
};

inline std::vector<Corner> contour(const Mask& mask, ImageSize size, double spacing_y, double spacing_x) {
    const auto set = [&](int64_t y, int64_t x) {
        return y >= 0 && x >= 0 && y < size.height && x < size.width && mask[y * size.width + x];
    };
    const double half = 0.5 * std::sqrt(spacing_y * spacing_y + spacing_x * spacing_x);
    std::vector<Corner> corners;
    for (int64_t y = 0; y <= size.height; ++y)
        for (int64_t x = 0; x <= size.width; ++x) {
            const int above = set(y - 1, x - 1) + set(y - 1, x), left = set(y - 1, x - 1) + set(y, x - 1),
                      all = above + set(y, x - 1) + set(y, x);
            if (all == 0 || all == 4) continue;
            double length = half;
            if (all == 2) length = above != 1 ? spacing_x : left != 1 ? spacing_y : 2 * half;
            corners.push_back({y, x, length});
        }
    return corners;
}

inline double surface_dice(const Mask& a, const Mask& b, ImageSize size, double spacing_y, double spacing_x,
                           double tolerance) {
    const std::vector<Corner> contours[2] = {contour(a, size, spacing_y, spacing_x),
                                             contour(b, size, spacing_y, spacing_x)};
    double near = 0, all = 0;
    for (int side = 0; side < 2; ++side)
        for (const Corner& from : contours[side]) {
            bool found = false;
            for (const Corner& to : contours[1 - side]) {
                const double down = static_cast<double>(from.y - to.y) * spacing_y,
                             right = static_cast<double>(from.x - to.x) * spacing_x;
                found |= std::sqrt(down * down + right * right) <= tolerance;
            }
            all += from.length;
            if (found) near += from.length;
        }
    return near / all;  // NaN if both masks are empty
}

}  // namespace reference
