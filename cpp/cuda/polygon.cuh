// Draws a polygon into the window of a block. As on the CPU, each edge flips one bit per row that it crosses, and a
// running exclusive-or along the row fills the interior. Four threads share an edge, each taking every fourth row, so
// that neither many short edges nor a few long ones leave threads idle. Flips use atomics.
#pragma once

#include <cmath>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/line.hpp"
#include "echoseg/polygon.hpp"
#include "strips.cuh"

namespace echoseg::cuda {

constexpr int64_t kEdgeLanes = 4;

__device__ inline bool is_valid(float coordinate) { return fabsf(coordinate) <= kCoordinateLimit; }
__device__ inline bool is_valid(const float* point) { return is_valid(point[0]) && is_valid(point[1]); }

// The points of one contour. Invalid offsets are clamped to the existing points.
struct Polygon {
    const float* points;
    int64_t count;

    __device__ const float* at(int64_t i) const { return points + 2 * i; }
    __device__ const float* before(int64_t i) const { return at(i == 0 ? count - 1 : i - 1); }
};

__device__ inline Polygon polygon_of(const Contours& contours, int64_t image) {
    if (!contours.offsets)
        return {contours.points + 2 * image * contours.points_per_contour, contours.points_per_contour};
    const int64_t all = contours.points_per_contour;
    int64_t begin = contours.offsets[image], end = contours.offsets[image + 1];
    begin = begin < 0 ? 0 : (begin < all ? begin : all);
    end = end < begin ? begin : (end < all ? end : all);
    return {contours.points + 2 * begin, end - begin};
}

// A range of image rows, limited to the window of a strip.
struct RowRange {
    int32_t first, end;
};

__device__ inline RowRange in_window(const Strip& strip, int64_t first, int64_t end) {
    const int64_t top = strip.window_first, bottom = top + strip.window_rows;
    return {static_cast<int32_t>(first > top ? (first < bottom ? first : bottom) : top),
            static_cast<int32_t>(end < bottom ? (end > top ? end : top) : bottom)};
}

__device__ inline void toggle(uint32_t* row, int64_t column) { atomicXor(row + column / 32, 1u << (column % 32)); }
__device__ inline void mark(uint32_t* row, int64_t column) { atomicOr(row + column / 32, 1u << (column % 32)); }

__device__ inline void toggle_center(const Strips& s, const Strip& strip, const float* a, const float* b, int64_t lane,
                                     uint32_t* words) {
    const detail::Edge edge = detail::make_edge(a[0], a[1], b[0], b[1]);
    const RowRange rows =
        in_window(strip, detail::ceil_clamped(edge.y0, s.height), detail::ceil_clamped(edge.y1, s.height));
    ECHOSEG_NO_UNROLL
    for (int64_t y = rows.first + lane; y < rows.end; y += kEdgeLanes) {
        const int32_t column = detail::crossing_column(edge, static_cast<int32_t>(y), s.width);
        if (column < s.width) toggle(words + (y - strip.window_first) * s.pitch, column);
    }
}

__device__ inline detail::Pixel rounded(const float* point) {
    return {detail::nearest(point[0]), detail::nearest(point[1])};
}

__device__ inline void toggle_opencv(const Strips& s, const Strip& strip, const float* from, const float* to,
                                     int64_t lane, uint32_t* words, uint32_t* marks) {
    const detail::Pixel start = rounded(from), end = rounded(to);
    detail::Pixel a = start, b = end;
    if (detail::clip_edge(a, b, s.height, s.width)) {
        const detail::Line line = detail::make_line(a, b);
        ECHOSEG_NO_UNROLL
        for (int64_t i = lane; i <= line.along; i += kEdgeLanes) {
            const detail::Pixel pixel = detail::line_pixel(line, i);
            const int64_t row = pixel.y - strip.window_first;
            if (row >= 0 && row < strip.window_rows) mark(marks + row * s.pitch, pixel.x);
        }
    }
    detail::FixedEdge edge;
    if (!detail::make_fixed_edge(start, end, a, b, edge)) return;
    const RowRange rows = in_window(strip, edge.first_row, edge.end_row);
    ECHOSEG_NO_UNROLL
    for (int64_t y = rows.first + lane; y < rows.end; y += kEdgeLanes) {
        const int64_t x = edge.x + (y - edge.first_row) * edge.dx;
        const int64_t above = (x + 65535) >> 16, column = above > 0 ? above : 0;
        if (column >= s.width) continue;
        toggle(words + (y - strip.window_first) * s.pitch, column);
        if (x == column * 65536) mark(marks + (y - strip.window_first) * s.pitch, column);
    }
}

// In each row, pixel p becomes the parity of pixels 0 … p; then the marks are added.
__device__ inline void fill_parity(const Strips& s, const Strip& strip, uint32_t* words, const uint32_t* marks) {
    ECHOSEG_NO_UNROLL
    for (int64_t y = threadIdx.x; y < strip.window_rows; y += blockDim.x) {
        uint32_t odd = 0;  // all ones if the parity so far is odd
        ECHOSEG_NO_UNROLL
        for (int32_t i = 0; i < s.pitch; ++i) {
            uint32_t w = words[y * s.pitch + i];
            w ^= w << 1;
            w ^= w << 2;
            w ^= w << 4;
            w ^= w << 8;
            w ^= w << 16;
            w ^= odd;
            odd = 0u - (w >> 31);
            if (marks) w |= marks[y * s.pitch + i];
            words[y * s.pitch + i] = w & inside_word(s, i);
        }
    }
}

// Calls draw(from, to, lane) on kEdgeLanes threads for each edge of the polygon. Returns whether all points are valid;
// edges of invalid points are left out. Must be called by the whole block; synchronises it.
template <typename Draw>
__device__ inline bool for_each_edge(const Polygon& polygon, const Draw& draw) {
    bool invalid = false;
    ECHOSEG_NO_UNROLL
    for (int64_t i = threadIdx.x; i < kEdgeLanes * polygon.count; i += blockDim.x) {
        const float *from = polygon.before(i / kEdgeLanes), *to = polygon.at(i / kEdgeLanes);
        if (is_valid(from) && is_valid(to)) {
            draw(from, to, i % kEdgeLanes);
        } else {
            invalid = true;
        }
    }
    return !__syncthreads_or(invalid);
}

__device__ inline void clear(uint32_t* words, int64_t count) {
    ECHOSEG_NO_UNROLL
    for (int64_t i = threadIdx.x; i < count; i += blockDim.x) words[i] = 0;
}

// Draws contour strip.image into `words`, limited to the window. `marks` is a second bit image for temporary use, only
// for rule "opencv". Must be called by the whole block.
template <FillRule kRule>
__device__ inline void draw_polygon(const Strips& s, const Strip& strip, const Contours& contours, uint32_t* words,
                                    uint32_t* marks) {
    const int64_t window = int64_t{strip.window_rows} * s.pitch;
    clear(words, window);
    if (kRule == FillRule::opencv) clear(marks, window);
    __syncthreads();
    const bool valid =
        for_each_edge(polygon_of(contours, strip.image), [&](const float* from, const float* to, int64_t lane) {
            if (kRule == FillRule::center) {
                toggle_center(s, strip, from, to, lane, words);
            } else {
                toggle_opencv(s, strip, from, to, lane, words, marks);
            }
        });
    if (valid) {
        fill_parity(s, strip, words, kRule == FillRule::center ? nullptr : marks);
    } else {
        clear(words, window);
    }
    __syncthreads();
}

// The instantiation of a kernel template for a fill rule.
#define ECHOSEG_FOR_RULE(rule, kernel) \
    ((rule) == FillRule::center ? kernel<FillRule::center> : kernel<FillRule::opencv>)

}  // namespace echoseg::cuda
