// Heatmap values in narrower types, to nearest and ties to even, by bits alone: no instruction set's own conversion decides.
// For values in [0, 1], of which none is denormal (heat.hpp makes no others).
#pragma once

#include <cstdint>
#include <cstring>

#include "echoseg/detail/host_device.hpp"

namespace echoseg::detail {

ECHOSEG_HD inline uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The upper half of a float32.
ECHOSEG_HD inline uint16_t to_bfloat16(float value) {
    const uint32_t bits = bits_of(value);
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// Exponents are biased by 15 instead of 127, and 13 bits fewer follow. Below 2^-14 a float16 counts in steps of 2^-24, which is
// what a float32 between 1/2 and 1 does: adding 1/2 rounds to them.
ECHOSEG_HD inline uint16_t to_float16(float value) {
    const uint32_t bits = bits_of(value);
    const uint32_t normal = (bits - (112u << 23) + 0xfffu + ((bits >> 13) & 1u)) >> 13;
    const uint32_t denormal = bits_of(value + 0.5f) - 0x3f000000u;
    return static_cast<uint16_t>(bits < (113u << 23) ? denormal : normal);
}

// round(255 * value): a float32 from 2^23 on counts in steps of 1, so that adding 2^23 rounds.
ECHOSEG_HD inline uint8_t to_uint8(float value) { return static_cast<uint8_t>(bits_of(value * 255.0f + 8388608.0f)); }

}  // namespace echoseg::detail
