// Polygon filling by parity, on bit images. In each row that it crosses, an edge flips all pixels of one word from the
// first at or right of the crossing. Afterwards each row is scanned once: if the last pixel of a word is set, the next
// words are flipped. No edges are sorted and no spans are built, so self-intersecting contours cost the same as convex
// ones. The rules are in detail/crossing.hpp and detail/fixed_edge.hpp.
#include "echoseg/polygon.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "draw.hpp"
#include "echoseg/detail/fixed_edge.hpp"
#include "echoseg/parallel.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {
namespace {

// Flips the pixels of one word from the column on; carry_fill completes the row.
void flip(uint64_t* row, int64_t column) { row[column / 64] ^= ~static_cast<uint64_t>(0) << (column % 64); }
void set(uint64_t* row, int64_t column) { row[column / 64] |= static_cast<uint64_t>(1) << (column % 64); }

// Bresenham's line from the left end to the right end; both must be inside the image.
void mark_line(detail::Pixel a, detail::Pixel b, uint64_t* words, int64_t pitch) {
    if (b.x < a.x) std::swap(a, b);
    int64_t along = b.x - a.x;
    int64_t across = b.y < a.y ? a.y - b.y : b.y - a.y;
    const int64_t step_y = b.y < a.y ? -1 : 1;
    const bool steep = across > along;
    if (steep) std::swap(along, across);
    int64_t error = along - 2 * across;
    for (int64_t i = 0; i <= along; ++i) {
        set(words + a.y * pitch, a.x);
        const bool both = error < 0;
        error += (both ? 2 * along : 0) - 2 * across;
        if (steep || both) a.y += step_y;
        if (!steep || both) a.x += 1;
    }
}

}  // namespace

MaskWriter::MaskWriter(ImageSize size, int64_t masks) : size_(size), stream_(masks * size.pixels() > kStreamBytes) {
    strip_ = std::max<int64_t>(1, kStripBytes / size.width);
    if (stream_) buffer_.resize(static_cast<size_t>(strip_ * size.width + 64));
}

void MaskWriter::write(const uint64_t* words, int64_t pitch, RowRange range, uint8_t* mask) {
    const simd::RowKernels& kernels = simd::row_kernels();
    const int64_t width = size_.width, below = (size_.height - range.end) * width;
    uint8_t* out = mask + range.first * width;
    if (!stream_) {
        std::memset(mask, 0, static_cast<size_t>(range.first * width));
        kernels.expand(words, range.count(), pitch, width, out, mask + size_.pixels());
        std::memset(mask + range.end * width, 0, static_cast<size_t>(below));
        return;
    }
    kernels.stream_zeros(mask, range.first * width);
    for (int64_t y = range.first; y < range.end; y += strip_, words += strip_ * pitch, out += strip_ * width) {
        const int64_t rows = std::min(strip_, range.end - y);
        kernels.expand(words, rows, pitch, width, buffer_.data(), buffer_.data() + buffer_.size());
        kernels.stream_copy(buffer_.data(), rows * width, out);
    }
    kernels.stream_zeros(mask + range.end * width, below);
}

void MaskWriter::end() {
    if (stream_) simd::row_kernels().stream_end();
}

PolygonDrawer::PolygonDrawer(ImageSize size, FillRule rule, int64_t pitch) : size_(size), rule_(rule), pitch_(pitch) {
    if (rule == FillRule::opencv) marks_.resize(static_cast<size_t>(size.height * pitch));
}

RowRange PolygonDrawer::draw(const float* points, int64_t count, uint64_t* words) {
    if (count == 0) return {};
    return rule_ == FillRule::center ? draw_center(points, count, words) : draw_opencv(points, count, words);
}

RowRange PolygonDrawer::draw_center(const float* points, int64_t count, uint64_t* words) {
    int32_t crossed[2] = {static_cast<int32_t>(size_.height), 0};
    simd::row_kernels().cross_rows(points, count, crossed[0], static_cast<int32_t>(size_.width), pitch_, words,
                                   crossed);
    if (crossed[0] >= crossed[1]) return {};
    const RowRange range{crossed[0], crossed[1]};
    simd::row_kernels().carry_fill(words + range.first * pitch_, range.count(), pitch_, size_.width);
    return range;
}

RowRange PolygonDrawer::draw_opencv(const float* points, int64_t count, uint64_t* words) {
    const int64_t height = size_.height, width = size_.width;
    RowRange range{height, 0};
    const auto rounded = [](const float* p) { return detail::Pixel{detail::nearest(p[0]), detail::nearest(p[1])}; };
    const auto extend = [&range](int64_t first, int64_t end) {
        range.first = std::min(range.first, first);
        range.end = std::max(range.end, end);
    };
    detail::Pixel from = rounded(points + 2 * (count - 1));
    for (int64_t i = 0; i < count; ++i) {
        const detail::Pixel to = rounded(points + 2 * i);
        detail::Pixel a = from, b = to;
        if (detail::clip_edge(a, b, height, width)) {
            mark_line(a, b, marks_.data(), pitch_);
            extend(std::min(a.y, b.y), std::max(a.y, b.y) + 1);
        }
        detail::FixedEdge edge;
        if (detail::make_fixed_edge(from, to, a, b, edge)) {
            const int64_t first = std::max<int64_t>(edge.first_row, 0), end = std::min(edge.end_row, height);
            if (first < end) extend(first, end);
            int64_t x = edge.x + (first - edge.first_row) * edge.dx;
            for (int64_t y = first; y < end; ++y, x += edge.dx) {
                const int64_t column = std::max<int64_t>((x + 65535) >> 16, 0);
                if (column >= width) continue;
                flip(words + y * pitch_, column);
                if (x == column * 65536) set(marks_.data() + y * pitch_, column);
            }
        }
        from = to;
    }
    if (range.count() <= 0) return {};
    uint64_t* rows = words + range.first * pitch_;
    uint64_t* marks = marks_.data() + range.first * pitch_;
    simd::row_kernels().carry_fill(rows, range.count(), pitch_, width);
    for (int64_t i = 0; i < range.count() * pitch_; ++i) {
        rows[i] |= marks[i];
        marks[i] = 0;
    }
    return range;
}

int64_t find_invalid_point(const float* points, int64_t count) {
    // Whole blocks first: a loop without an early exit can be vectorised.
    constexpr int64_t kBlock = 256;
    int64_t i = 0;
    for (; i + kBlock <= 2 * count; i += kBlock) {
        int32_t invalid = 0;
        for (int64_t l = 0; l < kBlock; ++l)
            invalid |= static_cast<int32_t>(!(std::fabs(points[i + l]) <= kCoordinateLimit));
        if (invalid) break;
    }
    for (; i < 2 * count; ++i)
        if (!(std::fabs(points[i]) <= kCoordinateLimit)) return i / 2;
    return -1;
}

void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, int threads) {
    if (contours.count == 0) return;
    const int64_t points = (contours.end(contours.count - 1) - contours.begin(0)) / contours.count;
    const int64_t pitch = words_for(size.width);
    parallel_for(contours.count, 100 + 8 * points + size.pixels() / 80, threads, [&](int64_t begin, int64_t end) {
        PolygonDrawer drawer(size, rule, pitch);
        MaskWriter writer(size, contours.count);
        std::vector<uint64_t> words(static_cast<size_t>(size.height * pitch));
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = contours.begin(i);
            const RowRange range = drawer.draw(contours.points + 2 * first, contours.end(i) - first, words.data());
            uint64_t* rows = words.data() + range.first * pitch;
            writer.write(rows, pitch, range, masks + i * size.pixels());
            std::memset(rows, 0, static_cast<size_t>(range.count() * pitch) * sizeof *rows);
        }
        writer.end();
    });
}

}  // namespace echoseg
