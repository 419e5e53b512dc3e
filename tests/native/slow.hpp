// Slow, obvious loops that say what a kernel should have drawn.
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

namespace slow {

using namespace echoseg;
using Mask = std::vector<uint8_t>;
using Outline = std::vector<float>;  // x, y, x, y, …

// Even-odd at pixel centres: each edge flips what lies at or right of its crossing.
inline Mask fill_center(const Outline& outline, ImageSize size) {
    Mask mask(static_cast<size_t>(size.pixels()));
    const size_t count = outline.size() / 2;
    for (size_t i = 0; i < count; ++i) {
        const float *a = &outline[2 * i], *b = &outline[2 * ((i + 1) % count)];
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

// The outline's pixels, and those with an odd number of crossings at or left of them, or one on them.
inline Mask fill_opencv(const Outline& outline, ImageSize size) {
    Mask odd(static_cast<size_t>(size.pixels())), on(odd);
    const size_t count = outline.size() / 2;
    const auto pixel = [&](size_t i) {
        return detail::Pixel{std::lrintf(outline[2 * (i % count)]), std::lrintf(outline[2 * (i % count) + 1])};
    };
    for (size_t i = 0; i < count; ++i) {
        const detail::Pixel from = pixel(i), to = pixel(i + 1);
        detail::Pixel a = from, b = to;
        if (detail::clip_edge(a, b, size.height, size.width)) {
            const detail::Line line = detail::make_line(a, b);
            for (int64_t step = 0; step <= line.along; ++step) {
                const detail::Pixel at = detail::line_pixel(line, step);
                on[at.y * size.width + at.x] = 1;
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

// cv2.getStructuringElement as offsets (down, right) from its anchor.
inline std::vector<std::pair<int64_t, int64_t>> element(const Kernel& kernel) {
    const int64_t anchor = kernel.size / 2;
    std::vector<std::pair<int64_t, int64_t>> offsets;
    for (int64_t i = 0; i < kernel.size; ++i) {
        int64_t first = 0, end = kernel.size;
        const int64_t dy = i - anchor;
        if (kernel.shape == KernelShape::cross && dy != 0) {
            first = anchor;
            end = anchor + 1;
        }
        if (kernel.shape == KernelShape::ellipse) {
            const double square = anchor ? static_cast<double>(anchor * anchor) : 1.0;
            const double rest = static_cast<double>(anchor * anchor - dy * dy) * (1.0 / square);
            const auto dx = static_cast<int64_t>(std::nearbyint(static_cast<double>(anchor) * std::sqrt(rest)));
            first = std::max<int64_t>(anchor - dx, 0);
            end = std::min<int64_t>(anchor + dx + 1, kernel.size);
        }
        for (int64_t j = first; j < end; ++j) offsets.emplace_back(dy, j - anchor);
    }
    return offsets;
}

// What lies outside the image is left out.
inline Mask morph(Mask mask, ImageSize size, const Kernel& kernel, bool grow) {
    const auto offsets = element(kernel);
    for (int iteration = 0; iteration < kernel.iterations; ++iteration) {
        const Mask before = mask;
        for (int64_t y = 0; y < size.height; ++y)
            for (int64_t x = 0; x < size.width; ++x) {
                uint8_t& value = mask[y * size.width + x] = !grow;
                for (const auto& [dy, dx] : offsets) {
                    const int64_t v = y + dy, u = x + dx;
                    if (v < 0 || u < 0 || v >= size.height || u >= size.width) continue;
                    if ((before[v * size.width + u] != 0) == grow) value = grow;
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

// 0 on the border's pixels, 1 elsewhere: foreground beside the background or the image's edge.
inline Mask away_from_border(const Mask& mask, ImageSize size) {
    Mask away(mask.size(), 1);
    const auto set = [&](int64_t y, int64_t x) {
        return y >= 0 && x >= 0 && y < size.height && x < size.width && mask[y * size.width + x];
    };
    for (int64_t y = 0; y < size.height; ++y)
        for (int64_t x = 0; x < size.width; ++x)
            if (set(y, x) && !(set(y - 1, x) && set(y + 1, x) && set(y, x - 1) && set(y, x + 1))) away[y * size.width + x] = 0;
    return away;
}

// (HD95, ASSD)
inline std::pair<double, double> surface(const Mask& a, const Mask& b, ImageSize size, double spacing_y, double spacing_x) {
    const Mask borders[2] = {away_from_border(a, size), away_from_border(b, size)};
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

}  // namespace slow
