// Conversion of heatmap values to narrower types, rounding to nearest, ties to even. A SIMD level may use the
// processor's own conversion if it gives the same bits.
//
// Valid for values in [0, 1] that are not denormal; heat.hpp produces no others. The result fits into the narrower
// type.
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

// A float16 with exponent e is a multiple of 2^(e - 10), with e >= -14. Adding a float32 of exponent e + 13, whose last
// bit has the same weight, rounds to such a multiple and leaves the multiplier in the low bits. The multiplier is 1024
// to 2048, or 0 to 1024 for e = -14, so adding it to the exponent bits carries correctly.
ECHOSEG_HD inline int32_t to_float16(float value) {
    const int32_t bits = bits_of(value), min_exponent = 113 << 23;
    const int32_t power = (bits > min_exponent ? bits : min_exponent) & 0x7f800000;  // 2^e
    const int32_t offset = power + (13 << 23);
    return bits_of(value + of_bits(offset)) - offset + (power >> 13) - (113 << 10);
}

// round(255 * value). A float32 of at least 2^23 is a whole number, so adding 2^23 rounds.
ECHOSEG_HD inline int32_t to_uint8(float value) { return bits_of(value * 255.0f + 8388608.0f) & 0xff; }

}  // namespace echoseg::detail
