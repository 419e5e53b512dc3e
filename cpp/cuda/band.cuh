// Dilates and erodes the window of a block by the method of cpp/cpu/band.cpp: the structuring element is a union of
// boxes, dilation by a box of length n takes log2(n) passes along each axis, and erosion is dilation of the complement.
// Both are computed in the same passes, as two planes of one buffer. A pass reads one buffer and writes another, with a
// barrier between passes.
#pragma once

#include "echoseg/band.hpp"
#include "echoseg/detail/structuring.hpp"
#include "strips.cuh"

namespace echoseg::cuda {

enum class BandPart { dilated, eroded, band };

constexpr int32_t kBandBuffers = 8;  // four of two planes

// Number of rows above and below that affect a row, over all iterations.
inline int64_t reach_of(const StructuringElement& element) { return int64_t{element.size / 2} * element.iterations; }

struct BandDrawer {
    const Strips& s;
    const Strip& strip;
    int32_t first_plane, planes;  // plane 0 is the image, plane 1 its complement

    // Calls body(index into a buffer, row, word) for each word of the planes in use.
    template <typename Body>
    __device__ void for_each_word(const Body& body) const {
        for (int32_t plane = first_plane; plane < first_plane + planes; ++plane)
            for_each_cell(strip.window_rows, s.pitch, [&](int32_t row, int32_t word) {
                body(plane * s.window_words + int64_t{row} * s.pitch + word, row, word);
            });
        __syncthreads();
    }

    // out = in | in shifted by `shift` pixels from the right (from the left if `back`), filling with zeros.
    __device__ void along_rows(const uint32_t* in, uint32_t* out, int32_t shift, bool back) const {
        const int32_t whole = shift / 32, part = shift % 32;
        for_each_word([&](int64_t i, int32_t, int32_t word) {
            const int32_t low = back ? word - whole - 1 : word + whole, high = low + 1;
            const uint64_t left = low >= 0 && low < s.pitch ? in[i + low - word] : 0;
            const uint64_t right = high >= 0 && high < s.pitch ? in[i + high - word] : 0;
            const uint64_t both = right << 32 | left;
            out[i] = in[i] | static_cast<uint32_t>(back ? (both << part) >> 32 : both >> part);
        });
    }

    // The same with pixels from below (from above if `back`).
    __device__ void along_columns(const uint32_t* in, uint32_t* out, int32_t shift, bool back) const {
        const int64_t offset = (back ? -int64_t{shift} : int64_t{shift}) * s.pitch;
        for_each_word([&](int64_t i, int32_t row, int32_t) {
            const bool exists = back ? row >= shift : shift < strip.window_rows - row;
            out[i] = in[i] | (exists ? in[i + offset] : 0u);
        });
    }

    // Every pixel becomes the OR of itself and its `reach` successors on one axis and side. Returns the buffer with the
    // result.
    __device__ uint32_t* widen(uint32_t* now, uint32_t* const (&work)[2], int64_t reach, bool rows, bool back) const {
        const auto step = [&](int64_t shift) {
            uint32_t* out = now == work[0] ? work[1] : work[0];
            if (rows) {
                along_rows(now, out, static_cast<int32_t>(shift), back);
            } else {
                along_columns(now, out, static_cast<int32_t>(shift), back);
            }
            now = out;
        };
        int64_t done = 1;
        for (; 2 * done <= reach + 1; done *= 2) step(done);
        if (done < reach + 1) step(reach + 1 - done);
        return now;
    }

    __device__ detail::Box box(const StructuringElement& element, int64_t i) const {
        const detail::Box box = detail::box(element, i);
        const int64_t columns = s.width - 1, rows = s.height - 1;
        return {box.left < columns ? box.left : columns, box.right < columns ? box.right : columns,
                box.up < rows ? box.up : rows, box.down < rows ? box.down : rows};
    }

    // Dilates the planes in buffers[0]. Returns the buffer with the result.
    __device__ uint32_t* dilate(const StructuringElement& element, uint32_t* const (&buffers)[4]) const {
        uint32_t *source = buffers[0], *out = buffers[1];
        uint32_t* const work[2] = {buffers[2], buffers[3]};
        const int64_t iterations = detail::box_iterations(element), limit = int64_t{s.height} + s.width;
        for (int64_t n = 0; n < (iterations < limit ? iterations : limit); ++n) {
            detail::Box last{-1, -1, 0, 0};
            for (int64_t i = 0; i < detail::box_count(element); ++i) {
                const detail::Box box = this->box(element, i);
                if (box.left == last.left && box.right == last.right) continue;
                // The offsets -left … right are `left` predecessors and `right` successors.
                uint32_t* now = widen(source, work, box.right, true, false);
                now = widen(now, work, box.left, true, true);
                now = widen(now, work, box.down, false, false);
                now = widen(now, work, box.up, false, true);
                const bool add = last.left >= 0;
                for_each_word([&](int64_t at, int32_t, int32_t word) {
                    out[at] = (add ? out[at] : 0u) | (now[at] & inside_word(s, word));
                });
                last = box;
            }
            uint32_t* drawn = out;
            out = source;
            source = drawn;
        }
        return source;
    }
};

// Computes a part of the band of the window at the start of `words`, which holds kBandBuffers bit images, and returns
// its address. Only the rows of the strip are valid in the result. Must be called by the whole block.
__device__ inline const uint32_t* draw_band(const Strips& s, const Strip& strip, const StructuringElement& element,
                                            BandPart part, uint32_t* words) {
    uint32_t* const buffers[4] = {words, words + 2 * s.window_words, words + 4 * s.window_words,
                                  words + 6 * s.window_words};
    const bool eroded = part != BandPart::dilated;
    if (eroded) {
        const BandDrawer image{s, strip, 0, 1};
        image.for_each_word(
            [&](int64_t i, int32_t, int32_t word) { words[s.window_words + i] = ~words[i] & inside_word(s, word); });
    }
    const BandDrawer drawer{s, strip, part == BandPart::eroded, part == BandPart::band ? 2 : 1};
    uint32_t* drawn = drawer.dilate(element, buffers);
    if (eroded) {
        const BandDrawer image{s, strip, 0, 1};
        image.for_each_word([&](int64_t i, int32_t, int32_t word) {
            const uint32_t complement = drawn[s.window_words + i];
            drawn[i] = part == BandPart::band ? drawn[i] & complement : ~complement & inside_word(s, word);
        });
    }
    return drawn;
}

}  // namespace echoseg::cuda
