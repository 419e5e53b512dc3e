// Search in a row of a bit image.
#pragma once

#include <cstdint>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace echoseg {

// Index of the lowest set bit; word must not be 0.
inline int lowest_bit(uint64_t word) {
#if defined(_MSC_VER)
    unsigned long index;
    _BitScanForward64(&index, word);
    return static_cast<int>(index);
#else
    return __builtin_ctzll(word);
#endif
}

// Index of the highest set bit; word must not be 0.
inline int highest_bit(uint64_t word) {
#if defined(_MSC_VER)
    unsigned long index;
    _BitScanReverse64(&index, word);
    return static_cast<int>(index);
#else
    return 63 - __builtin_clzll(word);
#endif
}

// Index of the first bit with the given value at or after `from`; width if there is none.
inline int64_t find_bit(const uint64_t* row, int64_t width, int64_t from, bool value) {
    if (from >= width) return width;
    const uint64_t flip = value ? 0 : ~static_cast<uint64_t>(0);
    int64_t i = from / 64;
    uint64_t word = (row[i] ^ flip) & (~static_cast<uint64_t>(0) << (from % 64));
    while (word == 0) {
        if (64 * ++i >= width) return width;
        word = row[i] ^ flip;
    }
    const int64_t index = 64 * i + lowest_bit(word);
    return index < width ? index : width;
}

}  // namespace echoseg
