// Polygon filling by parity, on bit images. In each row that it crosses, an edge flips all pixels of one word from the
// first at or right of the crossing. Afterwards each row is scanned once: if the last pixel of a word is set, the next
// words are flipped. No edges are sorted and no spans are built, so self-intersecting contours cost the same as convex
// ones. The rules are in detail/crossing.hpp and detail/fixed_edge.hpp.
#include "echoseg/polygon.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
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

// An edge inside the image that is taller than wide: marks its line and flips its crossings, in one pass. Up to kMaxTall
// rows, the error of a crossing is below half a pixel, so that a crossing exactly on a pixel is on the line.
constexpr int64_t kMaxTall = 1 << 15;

void trace_steep(detail::Pixel a, detail::Pixel b, uint64_t* words, uint64_t* marks, int64_t pitch) {
    if (b.y < a.y) std::swap(a, b);
    const int64_t sign = b.x < a.x ? -1 : 1, step = (((b.x - a.x) * sign) << 32) / (b.y - a.y);
    const int64_t dx = sign * (step >> 16), dline = sign * step;
    // Bresenham's line in 32.32 fixed point: it rounds to the nearest pixel, and a half to the left.
    int64_t x = a.x * 65536 + 65535, line = (a.x << 32) + (int64_t{1} << 31) - kMaxTall;
    words += a.y * pitch;
    marks += a.y * pitch;
    for (int64_t rows = b.y - a.y; rows > 0; --rows, words += pitch, marks += pitch, x += dx, line += dline) {
        flip(words, x >> 16);
        set(marks, line >> 32);
    }
    set(marks, b.x);
}

}  // namespace

MaskWriter::MaskWriter(ImageSize size, int64_t masks) : size_(size), stream_(masks * size.pixels() > kStreamBytes) {
    strip_ = std::max<int64_t>(1, kStripBytes / size.width);
    if (stream_) buffer_.resize(static_cast<size_t>(strip_ * size.width + 64));
}

// expand(y, rows, out, end) converts rows from row y of the range on.
template <typename Expand>
void MaskWriter::write_range(RowRange range, uint8_t* mask, const Expand& expand) {
    const simd::RowKernels& kernels = simd::row_kernels();
    const int64_t width = size_.width, below = (size_.height - range.end) * width;
    uint8_t* out = mask + range.first * width;
    if (!stream_) {
        std::memset(mask, 0, static_cast<size_t>(range.first * width));
        expand(0, range.count(), out, mask + size_.pixels());
        std::memset(mask + range.end * width, 0, static_cast<size_t>(below));
        return;
    }
    kernels.stream_zeros(mask, range.first * width);
    for (int64_t y = 0; y < range.count(); y += strip_) {
        const int64_t rows = std::min(strip_, range.count() - y);
        expand(y, rows, buffer_.data(), buffer_.data() + buffer_.size());
        kernels.stream_copy(buffer_.data(), rows * width, out + y * width);
    }
    kernels.stream_zeros(mask + range.end * width, below);
}

void MaskWriter::write(const uint64_t* words, int64_t pitch, RowRange range, uint8_t* mask) {
    write_range(range, mask, [&](int64_t y, int64_t rows, uint8_t* out, uint8_t* end) {
        simd::row_kernels().expand(words + y * pitch, rows, pitch, size_.width, out, end);
    });
}

void MaskWriter::write_crossed(uint64_t* words, uint64_t* marks, int64_t pitch, RowRange range, uint8_t* mask) {
    write_range(range, mask, [&](int64_t y, int64_t rows, uint8_t* out, uint8_t* end) {
        simd::row_kernels().expand_fill(words + y * pitch, marks ? marks + y * pitch : nullptr, rows, pitch,
                                        size_.width, out, end);
    });
}

void MaskWriter::end() {
    if (stream_) simd::row_kernels().stream_end();
}

PolygonDrawer::PolygonDrawer(ImageSize size, FillRule rule, int64_t pitch) : size_(size), rule_(rule), pitch_(pitch) {
    if (rule == FillRule::opencv) marks_.resize(static_cast<size_t>(size.height * pitch));
}

RowRange PolygonDrawer::cross(const float* points, int64_t count, uint64_t* words) {
    if (count == 0) return {};
    const RowRange range =
        rule_ == FillRule::center ? cross_center(points, count, words) : cross_opencv(points, count, words);
    return range.count() > 0 ? range : RowRange{};
}

RowRange PolygonDrawer::draw(const float* points, int64_t count, uint64_t* words) {
    const RowRange range = cross(points, count, words);
    simd::row_kernels().carry_fill(words + range.first * pitch_, marks(range), range.count(), pitch_, size_.width);
    return range;
}

void PolygonDrawer::fill(const float* points, int64_t count, uint64_t* words, MaskWriter& writer, uint8_t* mask) {
    const RowRange range = cross(points, count, words);
    writer.write_crossed(words + range.first * pitch_, marks(range), pitch_, range, mask);
}

RowRange PolygonDrawer::cross_center(const float* points, int64_t count, uint64_t* words) {
    int32_t crossed[2] = {static_cast<int32_t>(size_.height), 0};
    simd::row_kernels().cross_rows(points, count, crossed[0], static_cast<int32_t>(size_.width), pitch_, words,
                                   crossed);
    return {crossed[0], crossed[1]};
}

RowRange PolygonDrawer::cross_opencv(const float* points, int64_t count, uint64_t* words) {
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
        bool traced = false;
        if (detail::clip_edge(a, b, height, width)) {
            const int64_t tall = std::abs(to.y - from.y);
            extend(std::min(a.y, b.y), std::max(a.y, b.y) + 1);
            traced = a == from && b == to && tall > std::abs(to.x - from.x) && tall <= kMaxTall;
            if (traced) {
                trace_steep(a, b, words, marks_.data(), pitch_);
            } else {
                mark_line(a, b, marks_.data(), pitch_);
            }
        }
        detail::FixedEdge edge;
        if (!traced && detail::make_fixed_edge(from, to, a, b, edge)) {
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
            drawer.fill(contours.points + 2 * first, contours.end(i) - first, words.data(), writer,
                        masks + i * size.pixels());
        }
        writer.end();
    });
}

}  // namespace echoseg
