// Dilates and erodes the window of a block. A dilation takes one or more steps; each reads one buffer, writes another and
// ends with a barrier. A rectangle takes two steps, along the rows and along the columns, and the other shapes one for
// each iteration. Erosion is dilation of the complement. Both are computed in the same steps, as two planes of one
// buffer.
#pragma once

#include "echoseg/band.hpp"
#include "echoseg/detail/structuring.hpp"
#include "strips.cuh"

namespace echoseg::cuda {

enum class BandPart { dilated, eroded, band };

constexpr int32_t kBandBuffers = 4;  // two of two planes

// Number of rows above and below that affect a row, over all iterations.
inline int64_t reach_of(const StructuringElement& element) { return int64_t{element.size / 2} * element.iterations; }

// The word `word` of a row after every pixel became the OR of the pixels from `left` before to `right` after it. In steps
// of 32 pixels, since the shifts are those of two adjacent words.
__device__ inline uint32_t along_row(const uint32_t* row, int32_t pitch, int32_t word, int32_t left, int32_t right) {
    const auto at = [=](int32_t i) { return i >= 0 && i < pitch ? uint64_t{row[i]} : 0; };
    uint32_t drawn = row[word];
    ECHOSEG_NO_UNROLL
    for (int32_t i = word; right > 0; ++i, right -= 32) {
        uint64_t pair = (at(i + 1) << 32 | at(i)) >> 1;
        const int32_t reach = right < 32 ? right : 32;
        int32_t done = 1;
        ECHOSEG_NO_UNROLL
        for (; 2 * done <= reach; done *= 2) pair |= pair >> done;
        drawn |= static_cast<uint32_t>(pair | pair >> (reach - done));
    }
    ECHOSEG_NO_UNROLL
    for (int32_t i = word; left > 0; --i, left -= 32) {
        uint64_t pair = (at(i) << 32 | at(i - 1)) << 1;
        const int32_t reach = left < 32 ? left : 32;
        int32_t done = 1;
        ECHOSEG_NO_UNROLL
        for (; 2 * done <= reach; done *= 2) pair |= pair << done;
        drawn |= static_cast<uint32_t>((pair | pair << (reach - done)) >> 32);
    }
    return drawn;
}

struct BandDrawer {
    const Strips& s;
    const Strip& strip;
    const Lanes& lanes;           // of a row of words
    int32_t first_plane, planes;  // plane 0 is the image, plane 1 its complement

    // Calls body(index of the first word of the plane, row, word) for each word of the planes in use.
    template <typename Body>
    __device__ void for_each_word(const Body& body) const {
        for_each_cell(lanes, strip.window_rows, s.pitch, [&](int32_t row, int32_t word) {
            ECHOSEG_NO_UNROLL
            for (int32_t plane = first_plane; plane < first_plane + planes; ++plane)
                body(plane * s.window_words, row, word);
        });
        __syncthreads();
    }

    // out = the OR of rows -up … down of `in`, each with the pixels from sides(row).left before to sides(row).right after.
    template <typename SidesOf>
    __device__ void step(const uint32_t* in, uint32_t* out, int64_t up, int64_t down, const SidesOf& sides) const {
        const int32_t columns = s.width - 1;
        for_each_word([&](int64_t plane, int32_t row, int32_t word) {
            const int32_t first = row > up ? static_cast<int32_t>(row - up) : 0,
                          last =
                              row + down < strip.window_rows ? static_cast<int32_t>(row + down) : strip.window_rows - 1;
            uint32_t drawn = 0;
            for (int32_t y = first; y <= last; ++y) {
                const detail::Sides wide = sides(y - row);
                drawn |= along_row(in + plane + int64_t{y} * s.pitch, s.pitch, word,
                                   static_cast<int32_t>(wide.left < columns ? wide.left : columns),
                                   static_cast<int32_t>(wide.right < columns ? wide.right : columns));
            }
            out[plane + int64_t{row} * s.pitch + word] = drawn & inside_word(s, word);
        });
    }

    // Dilates the planes in `now`. Returns the buffer with the result, which may be `other`.
    __device__ uint32_t* dilate(const StructuringElement& element, uint32_t* now, uint32_t* other) const {
        const detail::Box box = detail::box(element, 0);
        if (element.shape == ElementShape::rect) {
            step(now, other, 0, 0, [&](int64_t) { return detail::Sides{box.left, box.right}; });
            step(other, now, box.up, box.down, [](int64_t) { return detail::Sides{0, 0}; });
            return now;
        }
        const int64_t limit = int64_t{s.height} + s.width;  // more iterations change nothing
        for (int64_t n = 0; n < (element.iterations < limit ? element.iterations : limit); ++n) {
            step(now, other, box.up, box.down, [&](int64_t dy) { return detail::sides(element, dy); });
            uint32_t* drawn = other;
            other = now;
            now = drawn;
        }
        return now;
    }
};

// Computes a part of the band of the window at the start of `words`, which holds kBandBuffers bit images, and returns
// its address. Only the rows of the strip are valid in the result. Must be called by the whole block.
__device__ inline const uint32_t* draw_band(const Strips& s, const Strip& strip, const StructuringElement& element,
                                            BandPart part, uint32_t* words) {
    const int64_t complement = s.window_words;
    const bool eroded = part != BandPart::dilated;
    const Lanes lanes(s.pitch);
    const BandDrawer image{s, strip, lanes, 0, 1};
    if (eroded)
        image.for_each_word([&](int64_t, int32_t row, int32_t word) {
            const int64_t i = int64_t{row} * s.pitch + word;
            words[complement + i] = ~words[i] & inside_word(s, word);
        });
    const BandDrawer drawer{s, strip, lanes, part == BandPart::eroded, part == BandPart::band ? 2 : 1};
    uint32_t* drawn = drawer.dilate(element, words, words + 2 * s.window_words);
    if (eroded)
        image.for_each_word([&](int64_t, int32_t row, int32_t word) {
            const int64_t i = int64_t{row} * s.pitch + word;
            drawn[i] = part == BandPart::band ? drawn[i] & drawn[complement + i]
                                              : ~drawn[complement + i] & inside_word(s, word);
        });
    return drawn;
}

}  // namespace echoseg::cuda
