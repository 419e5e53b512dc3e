// Partition of a batch into strips. A block draws one strip: some rows of one image, over its whole width, in every
// output. It holds the strip as a bit image, together with as many rows above and below as the structuring element
// reaches (the window). The bit image is in shared memory if it fits, otherwise in the workspace. There are enough
// strips to occupy a large GPU, and they are tall enough that the cost of rows drawn twice is small.
//
// A bit image holds 32 pixels per word, pixel 0 in the lowest bit, and `pitch` words per row; bits beyond the width are
// 0.
#pragma once

#include "echoseg/detail/host_device.hpp"
#include "echoseg/types.hpp"
#include "launch.cuh"

namespace echoseg::cuda {

constexpr int64_t kBitBytes = 40 * 1024;   // of shared memory; the rest holds the tables of the heatmaps
constexpr int64_t kMinBlocks = 1024;       // a few for each multiprocessor of a large GPU
constexpr int64_t kWorkspaceBlocks = 512;  // maximum if the workspace is used
constexpr int64_t kMinRows = 32, kMaxRows = 128;

struct Strips {
    int32_t height, width, pitch;
    int32_t rows, reach;              // rows of a strip; rows added above and below it
    int64_t strips_per_image, count;  // count: strips of the batch
    int64_t window_words;             // of one buffer
    int32_t buffers;
    bool in_shared;
    uint32_t* workspace;

    int64_t blocks() const { return in_shared ? count : std::min(count, kWorkspaceBlocks); }
    ECHOSEG_HD int64_t bit_bytes() const { return buffers * window_words * static_cast<int64_t>(sizeof(uint32_t)); }
    ECHOSEG_HD int64_t shared_bytes() const { return in_shared ? bit_bytes() : 0; }
    int64_t workspace_bytes() const { return in_shared ? 0 : blocks() * bit_bytes(); }
};

inline Strips partition(int64_t images, ImageSize size, int64_t reach, int32_t buffers, void* workspace) {
    Strips s{};
    s.height = static_cast<int32_t>(size.height);
    s.width = static_cast<int32_t>(size.width);
    s.pitch = (s.width + 31) / 32;
    s.reach = static_cast<int32_t>(std::min(reach, size.height));
    s.buffers = buffers;
    s.workspace = static_cast<uint32_t*>(workspace);
    const int64_t row_bytes = int64_t{buffers} * s.pitch * static_cast<int64_t>(sizeof(uint32_t));
    const int64_t min_rows = std::max<int64_t>(kMinRows, 2 * s.reach), max_rows = std::max<int64_t>(kMaxRows, min_rows);
    int64_t rows = std::min(std::max((size.height * images + kMinBlocks - 1) / kMinBlocks, min_rows), max_rows);
    const int64_t shared_rows = kBitBytes / row_bytes, halo = 2 * int64_t{s.reach};
    // The workspace is faster if the strip would be less than a third of its window.
    const int64_t fitting = std::min(shared_rows - (shared_rows < size.height ? halo : 0), size.height);
    s.in_shared = fitting >= std::min(std::max<int64_t>(s.reach, 1), size.height);
    if (s.in_shared) rows = std::min(rows, fitting);
    s.strips_per_image = (size.height + rows - 1) / rows;
    s.rows = static_cast<int32_t>((size.height + s.strips_per_image - 1) / s.strips_per_image);
    s.strips_per_image = (size.height + s.rows - 1) / s.rows;
    s.count = images * s.strips_per_image;
    s.window_words = std::min(s.rows + halo, size.height) * s.pitch;
    return s;
}

// One strip, and the rows of its window.
struct Strip {
    int64_t image;
    int32_t first_row, rows;
    int32_t window_first, window_rows;

    __device__ int32_t above() const { return first_row - window_first; }
};

__device__ inline Strip strip_at(const Strips& s, int64_t index) {
    Strip strip;
    strip.image = index / s.strips_per_image;
    strip.first_row = static_cast<int32_t>(index % s.strips_per_image) * s.rows;
    strip.rows = strip.first_row + s.rows < s.height ? s.rows : s.height - strip.first_row;
    strip.window_first = strip.first_row > s.reach ? strip.first_row - s.reach : 0;
    const int64_t end = int64_t{strip.first_row} + strip.rows + s.reach;
    strip.window_rows = static_cast<int32_t>(end < s.height ? end : s.height) - strip.window_first;
    return strip;
}

// The bit images of the block, consecutive buffers of window_words words.
__device__ inline uint32_t* bit_images(const Strips& s) {
    if (s.in_shared) return reinterpret_cast<uint32_t*>(shared());
    return s.workspace + static_cast<int64_t>(blockIdx.x) * s.buffers * s.window_words;
}

// The bits of a word that are inside the image.
__device__ inline uint32_t inside_word(const Strips& s, int32_t word) {
    const int32_t left = s.width - 32 * word;
    return left >= 32 ? ~0u : (1u << left) - 1u;
}

// kPixels bytes, read and written at once.
template <int kPixels>
struct alignas(kPixels) Bytes {
    uint32_t four[kPixels / 4];
};

template <>
struct Bytes<1> {
    uint8_t one;
};

__device__ inline void spread(uint32_t bits, Bytes<1>& bytes) { bytes.one = static_cast<uint8_t>(bits & 1u); }

// The product spreads four bits over four bytes, 0 or 1.
template <int kPixels>
__device__ inline void spread(uint32_t bits, Bytes<kPixels>& bytes) {
    for (int32_t i = 0; i < kPixels / 4; ++i) bytes.four[i] = (((bits >> (4 * i)) & 15u) * 0x00204081u) & 0x01010101u;
}

// The highest bit of each byte that is not 0.
__device__ inline uint32_t high_bits(uint32_t four) {
    return (((four & 0x7f7f7f7fu) + 0x7f7f7f7fu) | four) & 0x80808080u;
}

__device__ inline uint32_t first_four(const Bytes<1>& bytes) { return bytes.one; }
template <int kPixels>
__device__ inline uint32_t first_four(const Bytes<kPixels>& bytes) {
    return bytes.four[0];
}

__device__ inline uint32_t gather(const Bytes<1>& bytes) { return bytes.one != 0; }

// A bit for each byte, 1 if it is not 0. The product moves the lowest bits of four bytes to the highest four bits.
template <int kPixels>
__device__ inline uint32_t gather(const Bytes<kPixels>& bytes) {
    uint32_t bits = 0;
    for (int32_t i = 0; i < kPixels / 4; ++i) bits |= ((high_bits(bytes.four[i]) >> 7) * 0x10204080u) >> 28 << (4 * i);
    return bits;
}

template <int kPixels>
__device__ inline void write_bytes(const uint32_t* words, int32_t pitch, int32_t rows, int32_t width, uint8_t* bytes) {
    for_each_cell(rows, width / kPixels, [=](int32_t row, int32_t group) {
        const int32_t column = group * kPixels;
        Bytes<kPixels> drawn;
        spread(words[int64_t{row} * pitch + column / 32] >> (column % 32), drawn);
        *reinterpret_cast<Bytes<kPixels>*>(bytes + int64_t{row} * width + column) = drawn;
    });
}

// The loop over a word has a fixed length, so that all of its loads are in flight together.
template <int kPixels>
__device__ inline void read_bytes(const uint8_t* bytes, int32_t pitch, int32_t rows, int32_t width, uint32_t* words) {
    for_each_cell(rows, pitch, [=](int32_t row, int32_t word) {
        const int32_t left = width - 32 * word;
        const uint8_t* in = bytes + int64_t{row} * width + 32 * word;
        uint32_t bits = 0;
        for (int32_t i = 0; i < 32; i += kPixels)
            if (i < left) bits |= gather(*reinterpret_cast<const Bytes<kPixels>*>(in + i)) << i;
        words[int64_t{row} * pitch + word] = bits;
    });
}

// Writes the rows of the strip from the window `words` to `masks`.
__device__ inline void write_mask(const Strips& s, const Strip& strip, const uint32_t* words, uint8_t* masks) {
    const uint32_t* first = words + int64_t{strip.above()} * s.pitch;
    uint8_t* out = masks + (strip.image * s.height + strip.first_row) * s.width;
    if (s.width % 16 == 0 && is_aligned(masks, 16)) {
        write_bytes<16>(first, s.pitch, strip.rows, s.width, out);
    } else if (s.width % 4 == 0 && is_aligned(masks, 4)) {
        write_bytes<4>(first, s.pitch, strip.rows, s.width, out);
    } else {
        write_bytes<1>(first, s.pitch, strip.rows, s.width, out);
    }
}

// Reads the rows of the window from `masks` into `words`; any non-zero byte counts as 1.
__device__ inline void read_mask(const Strips& s, const Strip& strip, const uint8_t* masks, uint32_t* words) {
    const uint8_t* in = masks + (strip.image * s.height + strip.window_first) * s.width;
    if (s.width % 16 == 0 && is_aligned(masks, 16)) {
        read_bytes<16>(in, s.pitch, strip.window_rows, s.width, words);
    } else if (s.width % 4 == 0 && is_aligned(masks, 4)) {
        read_bytes<4>(in, s.pitch, strip.window_rows, s.width, words);
    } else {
        read_bytes<1>(in, s.pitch, strip.window_rows, s.width, words);
    }
}

}  // namespace echoseg::cuda
