// Exact area coverage (detail/coverage.hpp). The output array first holds the differences between neighbouring pixels
// as int32. A last pass over the rows of the contour's bounding box replaces them by areas, so no other memory is
// needed.
#include "echoseg/detail/coverage.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "draw.hpp"
#include "echoseg/parallel.hpp"

namespace echoseg {
namespace {

static_assert(sizeof(float) == sizeof(int32_t), "areas replace sums in place");

void add(float* element, int32_t amount) {
    int32_t sum;
    std::memcpy(&sum, element, sizeof sum);
    sum = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(amount));
    std::memcpy(element, &sum, sizeof sum);
}

void add_span(const detail::CoverageSpan& span, int64_t width, float* row) {
    const double limit = static_cast<double>(width);
    if (span.low >= limit) return;
    auto c = static_cast<int64_t>(std::max(std::floor(span.low), 0.0));
    const auto end = static_cast<int64_t>(std::min(std::max(std::ceil(span.high), 0.0), limit));
    int32_t before = 0;
    for (; c < end; ++c) {
        const int32_t covered = span.covered(c);
        add(row + c, covered - before);
        before = covered;
    }
    if (c < width) add(row + c, span.height - before);
}

struct Bounds {
    double left, right, top, bottom;
};

Bounds add_edges(const float* points, int64_t count, ImageSize size, int bits, float* area) {
    Bounds bounds{1e9, -1e9, 1e9, -1e9};
    const float* a = points + 2 * (count - 1);
    for (int64_t i = 0; i < count; ++i) {
        const float* b = points + 2 * i;
        detail::Edge edge = detail::make_edge(a[0], a[1], b[0], b[1]);
        const bool downward = a[1] < b[1];
        a = b;
        for (double* coordinate : {&edge.x0, &edge.y0, &edge.x1, &edge.y1}) *coordinate += 0.5;
        bounds = {std::min({bounds.left, edge.x0, edge.x1}), std::max({bounds.right, edge.x0, edge.x1}),
                  std::min(bounds.top, edge.y0), std::max(bounds.bottom, edge.y1)};
        if (edge.y0 == edge.y1) continue;
        const auto first = static_cast<int64_t>(std::max(std::floor(edge.y0), 0.0));
        const auto end = static_cast<int64_t>(std::min(std::ceil(edge.y1), static_cast<double>(size.height)));
        for (int64_t row = first; row < end; ++row)
            add_span(detail::coverage_span(edge, downward, row, bits), size.width, area + row * size.width);
    }
    return bounds;
}

void cover(const float* points, int64_t count, ImageSize size, float* area) {
    std::memset(area, 0, static_cast<size_t>(size.pixels()) * sizeof *area);
    if (count < 3) return;
    const int bits = detail::coverage_bits(count);
    const Bounds bounds = add_edges(points, count, size, bits, area);
    const auto clamped = [](double value, int64_t limit) {
        return static_cast<int64_t>(std::min(std::max(value, 0.0), static_cast<double>(limit)));
    };
    // One more column: if a span ends at the side of a pixel, its last difference is in the next one.
    const int64_t left = clamped(std::floor(bounds.left), size.width),
                  right = clamped(std::ceil(bounds.right) + 1.0, size.width);
    const int64_t top = clamped(std::floor(bounds.top), size.height),
                  bottom = clamped(std::ceil(bounds.bottom), size.height);
    for (int64_t y = top; y < bottom; ++y) {
        float* row = area + y * size.width;
        uint32_t sum = 0;
        for (int64_t x = left; x < right; ++x) {
            uint32_t difference;
            std::memcpy(&difference, row + x, sizeof difference);
            sum += difference;
            row[x] = detail::coverage_value(static_cast<int32_t>(sum), bits);
        }
    }
}

}  // namespace

void cover_polygons(const Contours& contours, ImageSize size, float* areas, int threads) {
    if (contours.count == 0) return;
    const int64_t points = (contours.end(contours.count - 1) - contours.begin(0)) / contours.count;
    parallel_for(contours.count, 100 + 50 * points + size.pixels() / 4, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = contours.begin(i);
            cover(contours.points + 2 * first, contours.end(i) - first, size, areas + i * size.pixels());
        }
    });
}

}  // namespace echoseg
