// How a block dilates and erodes the bits of its window, as cpp/cpu/band.cpp tells it: a kernel is a union of boxes, dilating by
// a box of length n takes log2(n) passes along each axis, and eroding is dilating the complement. Both run in the same passes,
// as two planes of one buffer. A pass reads one buffer and writes another, with a barrier between passes.
#pragma once

#include "echoseg/band.hpp"
#include "echoseg/detail/structuring.hpp"
#include "strips.cuh"

namespace echoseg::cuda {

enum class BandPart { dilated, eroded, band };

constexpr int32_t kBandBuffers = 8;  // four of two planes

// How far a kernel looks to either side along the rows' axis, all iterations together.
inline int64_t reach_of(const Kernel& kernel) { return int64_t{kernel.size / 2} * kernel.iterations; }

struct BandDrawer {
    const Strips& s;
    const Strip& strip;
    int32_t first_plane, planes;  // plane 0 is the image, plane 1 its complement

    // body(index into a buffer, row, word) for each word of the planes in use.
    template <typename Body>
    __device__ void for_each_word(const Body& body) const {
        for (int32_t plane = first_plane; plane < first_plane + planes; ++plane)
            for_each_cell(strip.window_rows, s.pitch, [&](int32_t row, int32_t word) {
                body(plane * s.window_words + int64_t{row} * s.pitch + word, row, word);
            });
        __syncthreads();
    }

    // out = in | the pixels `shift` further right (or left, for `back`); zeros come in.
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

    // The same with the pixels `shift` further down (or up).
    __device__ void along_columns(const uint32_t* in, uint32_t* out, int32_t shift, bool back) const {
        const int64_t offset = (back ? -int64_t{shift} : int64_t{shift}) * s.pitch;
        for_each_word([&](int64_t i, int32_t row, int32_t) {
            const bool there = back ? row >= shift : shift < strip.window_rows - row;
            out[i] = in[i] | (there ? in[i + offset] : 0u);
        });
    }

    // Every pixel becomes the OR of itself and its `reach` successors on one axis and side; the buffer that holds the result.
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

    __device__ detail::Box box(const Kernel& kernel, int64_t i) const {
        const detail::Box box = detail::box(kernel, i);
        const int64_t columns = s.width - 1, rows = s.height - 1;
        return {box.left < columns ? box.left : columns, box.right < columns ? box.right : columns,
                box.up < rows ? box.up : rows, box.down < rows ? box.down : rows};
    }

    // Dilates the planes in buffers[0]; the buffer that then holds them.
    __device__ uint32_t* dilate(const Kernel& kernel, uint32_t* const (&buffers)[4]) const {
        uint32_t *source = buffers[0], *out = buffers[1];
        uint32_t* const work[2] = {buffers[2], buffers[3]};
        const int64_t rounds = detail::box_rounds(kernel), enough = int64_t{s.height} + s.width;
        for (int64_t round = 0; round < (rounds < enough ? rounds : enough); ++round) {
            detail::Box last{-1, -1, 0, 0};
            for (int64_t i = 0; i < detail::box_count(kernel); ++i) {
                const detail::Box box = this->box(kernel, i);
                if (box.left == last.left && box.right == last.right) continue;
                // What is read at offsets -left … right are the left predecessors and the right successors.
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

// From the window's bits at the start of `words` (of kBandBuffers images) to the part asked for; where it then lies. Only the
// strip's own rows are right. The whole block calls.
__device__ inline const uint32_t* draw_band(const Strips& s, const Strip& strip, const Kernel& kernel, BandPart part,
                                            uint32_t* words) {
    uint32_t* const buffers[4] = {words, words + 2 * s.window_words, words + 4 * s.window_words, words + 6 * s.window_words};
    const bool eroded = part != BandPart::dilated;
    if (eroded) {
        const BandDrawer image{s, strip, 0, 1};
        image.for_each_word([&](int64_t i, int32_t, int32_t word) { words[s.window_words + i] = ~words[i] & inside_word(s, word); });
    }
    const BandDrawer drawer{s, strip, part == BandPart::eroded, part == BandPart::band ? 2 : 1};
    uint32_t* drawn = drawer.dilate(kernel, buffers);
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
