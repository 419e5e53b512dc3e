// How a batch is cut for the kernels that draw. A block draws a strip: some rows of one image, over its whole width, in every
// output. It holds them as bits, together with as many rows above and below as the structuring element reaches (the window),
// in shared memory where that has room, else in scratch memory that the caller brings. Strips are many enough to occupy a large
// GPU and tall enough that the rows drawn twice do not count.
//
// A bit image holds 32 pixels a word, pixel 0 in the lowest bit, `pitch` words a row; bits beyond the width are 0.
#pragma once

#include "echoseg/detail/host_device.hpp"
#include "echoseg/types.hpp"
#include "launch.cuh"

namespace echoseg::cuda {

constexpr int64_t kBitBytes = 40 * 1024;   // of shared memory; what is left holds the heatmaps' tables
constexpr int64_t kWantedBlocks = 1024;    // a few for each multiprocessor of a large GPU
constexpr int64_t kScratchBlocks = 512;    // at most so many at once where scratch memory is needed
constexpr int64_t kLeastRows = 32, kMostRows = 128;

struct Strips {
    int32_t height, width, pitch;
    int32_t rows, reach;    // of a strip; beyond it to either side
    int64_t each, count;    // strips of an image, of the batch
    int64_t window_words;   // of one buffer
    int32_t buffers;
    bool in_shared;
    uint32_t* scratch;

    int64_t blocks() const { return in_shared ? count : std::min(count, kScratchBlocks); }
    ECHOSEG_HD int64_t bit_bytes() const { return buffers * window_words * static_cast<int64_t>(sizeof(uint32_t)); }
    ECHOSEG_HD int64_t shared_bytes() const { return in_shared ? bit_bytes() : 0; }
    int64_t scratch_bytes() const { return in_shared ? 0 : blocks() * bit_bytes(); }
};

inline Strips cut(int64_t images, ImageSize size, int64_t reach, int32_t buffers, void* scratch) {
    Strips s{};
    s.height = static_cast<int32_t>(size.height);
    s.width = static_cast<int32_t>(size.width);
    s.pitch = (s.width + 31) / 32;
    s.reach = static_cast<int32_t>(std::min(reach, size.height));
    s.buffers = buffers;
    s.scratch = static_cast<uint32_t*>(scratch);
    const int64_t row_bytes = int64_t{buffers} * s.pitch * static_cast<int64_t>(sizeof(uint32_t));
    const int64_t least = std::max<int64_t>(kLeastRows, 2 * s.reach), most = std::max<int64_t>(kMostRows, least);
    int64_t rows = std::min(std::max((size.height * images + kWantedBlocks - 1) / kWantedBlocks, least), most);
    const int64_t room = kBitBytes / row_bytes, halo = 2 * int64_t{s.reach};
    // Scratch memory is the better choice where the strip itself would be less than a third of its window.
    const int64_t fitting = std::min(room - (room < size.height ? halo : 0), size.height);
    s.in_shared = fitting >= std::min(std::max<int64_t>(s.reach, 1), size.height);
    if (s.in_shared) rows = std::min(rows, fitting);
    s.each = (size.height + rows - 1) / rows;
    s.rows = static_cast<int32_t>((size.height + s.each - 1) / s.each);
    s.each = (size.height + s.rows - 1) / s.rows;
    s.count = images * s.each;
    s.window_words = std::min(s.rows + halo, size.height) * s.pitch;
    return s;
}

// One strip: `rows` rows from `first_row` on, and the rows of its window.
struct Strip {
    int64_t image;
    int32_t first_row, rows;
    int32_t window_first, window_rows;

    __device__ int32_t above() const { return first_row - window_first; }
};

__device__ inline Strip strip_at(const Strips& s, int64_t index) {
    Strip strip;
    strip.image = index / s.each;
    strip.first_row = static_cast<int32_t>(index % s.each) * s.rows;
    strip.rows = strip.first_row + s.rows < s.height ? s.rows : s.height - strip.first_row;
    strip.window_first = strip.first_row > s.reach ? strip.first_row - s.reach : 0;
    const int64_t end = int64_t{strip.first_row} + strip.rows + s.reach;
    strip.window_rows = static_cast<int32_t>(end < s.height ? end : s.height) - strip.window_first;
    return strip;
}

// The block's bit images, one of `window_words` after the other.
__device__ inline uint32_t* bit_images(const Strips& s) {
    if (s.in_shared) return reinterpret_cast<uint32_t*>(shared());
    return s.scratch + static_cast<int64_t>(blockIdx.x) * s.buffers * s.window_words;
}

// The bits of word `word` of a row that lie in the image.
__device__ inline uint32_t inside_word(const Strips& s, int32_t word) {
    const int32_t left = s.width - 32 * word;
    return left >= 32 ? ~0u : (1u << left) - 1u;
}

// One byte a pixel, kPixels at a time, 0 or 1.
template <int kPixels>
__device__ inline void write_bytes(const uint32_t* words, int32_t pitch, int32_t rows, int32_t width, uint8_t* bytes) {
    for_each_cell(rows, width / kPixels, [=](int32_t row, int32_t group) {
        const int32_t column = group * kPixels;
        const uint32_t bits = words[int64_t{row} * pitch + column / 32] >> (column % 32);
        uint8_t* out = bytes + int64_t{row} * width + column;
        if (kPixels == 1) {
            *out = static_cast<uint8_t>(bits & 1u);
        } else {
            // A product puts four bits into four bytes.
            struct alignas(kPixels < 4 ? 4 : kPixels) Bytes {
                uint32_t four[kPixels < 4 ? 1 : kPixels / 4];
            } group_bytes;
            for (int32_t i = 0; i < kPixels / 4; ++i)
                group_bytes.four[i] = (((bits >> (4 * i)) & 15u) * 0x00204081u) & 0x01010101u;
            *reinterpret_cast<Bytes*>(out) = group_bytes;
        }
    });
}

__device__ inline bool aligned(const void* pointer, int64_t bytes) {
    return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(bytes) == 0;
}

// The strip's rows of `words` (a whole window) into its place in `masks`.
__device__ inline void write_mask(const Strips& s, const Strip& strip, const uint32_t* words, uint8_t* masks) {
    const uint32_t* first = words + int64_t{strip.above()} * s.pitch;
    uint8_t* out = masks + (strip.image * s.height + strip.first_row) * s.width;
    if (s.width % 16 == 0 && aligned(masks, 16)) {
        write_bytes<16>(first, s.pitch, strip.rows, s.width, out);
    } else if (s.width % 4 == 0 && aligned(masks, 4)) {
        write_bytes<4>(first, s.pitch, strip.rows, s.width, out);
    } else {
        write_bytes<1>(first, s.pitch, strip.rows, s.width, out);
    }
}

// The window's rows of `masks` into `words`; any byte but 0 counts as 1.
__device__ inline void read_mask(const Strips& s, const Strip& strip, const uint8_t* masks, uint32_t* words) {
    const uint8_t* first = masks + (strip.image * s.height + strip.window_first) * s.width;
    for_each_cell(strip.window_rows, s.pitch, [&](int32_t row, int32_t word) {
        const int32_t left = s.width - 32 * word, bits = left < 32 ? left : 32;
        const uint8_t* in = first + int64_t{row} * s.width + 32 * word;
        uint32_t packed = 0;
        for (int32_t i = 0; i < bits; ++i) packed |= static_cast<uint32_t>(in[i] != 0) << i;
        words[int64_t{row} * s.pitch + word] = packed;
    });
}

}  // namespace echoseg::cuda
