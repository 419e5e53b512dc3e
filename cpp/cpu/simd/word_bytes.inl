// Portable versions of functions for which other levels have instructions: conversion between one word and 64 bytes,
// eight bytes at a time by multiplication; float16; streaming.

inline void expand_word(uint64_t word, uint8_t* out) {
    for (int i = 0; i < 8; ++i) {
        // Copies the byte to all eight bytes, keeps bit i of copy i and moves it to the lowest bit.
        const uint64_t copies = ((word >> (8 * i)) & 0xff) * 0x0101010101010101u;
        const uint64_t kept = copies & 0x8040201008040201u;
        const uint64_t ones = ((kept + 0x7f7f7f7f7f7f7f7fu) | kept) >> 7 & 0x0101010101010101u;
        memcpy(out + 8 * i, &ones, 8);
    }
}

inline uint64_t pack_word(const uint8_t* in) {
    uint64_t word = 0;
    for (int i = 0; i < 8; ++i) {
        uint64_t bytes;
        memcpy(&bytes, in + 8 * i, 8);
        const uint64_t low = bytes & 0x7f7f7f7f7f7f7f7fu;
        const uint64_t ones = ((low + 0x7f7f7f7f7f7f7f7fu) | bytes) >> 7 & 0x0101010101010101u;
        word |= (ones * 0x0102040810204080u) >> 56 << (8 * i);
    }
    return word;
}

void to_float16(const float* values, int64_t count, void* out) {
    auto* to = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<uint16_t>(detail::to_float16(values[i]));
}

inline void stream_zeros(void* out, int64_t bytes) { memset(out, 0, static_cast<size_t>(bytes)); }
inline void stream_copy(const void* from, int64_t bytes, void* out) { memcpy(out, from, static_cast<size_t>(bytes)); }
inline void stream_end() {}
