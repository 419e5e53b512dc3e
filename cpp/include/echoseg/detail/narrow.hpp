// Heatmap values in narrower types, to nearest and ties to even. An instruction set's own conversion may stand in for one of these
// where it gives the same bits.
// For values in [0, 1], of which none is denormal (heat.hpp makes no others). What is returned fits into the narrower type.
#pragma once

#include <cstdint>
#include <cstring>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

ECHOSEG_HD inline int32_t bits_of(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

ECHOSEG_HD inline float of_bits(int32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The upper half of a float32.
ECHOSEG_HD inline int32_t to_bfloat16(float value) {
    const int32_t bits = bits_of(value);
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

// A float16 of exponent e counts in steps of 2^(e - 10), below 2^-14 in those of e = -14. So does a float32 from 2^(e + 13) on:
// adding that rounds, and leaves the count in the lowest bits. It goes from 1024 to 2048 but for e = -14, where it begins at 0, so
// that it carries into the exponent rightly by itself.
ECHOSEG_HD inline int32_t to_float16(float value) {
    const int32_t bits = bits_of(value), least = 113 << 23;
    const int32_t power = (bits > least ? bits : least) & 0x7f800000;  // 2^e
    const int32_t offset = power + (13 << 23);
    return bits_of(value + of_bits(offset)) - offset + (power >> 13) - (113 << 10);
}

// round(255 * value): a float32 from 2^23 on counts in steps of 1, so that adding 2^23 rounds.
ECHOSEG_HD inline int32_t to_uint8(float value) { return bits_of(value * 255.0f + 8388608.0f) & 0xff; }

}  // namespace echoseg::detail
