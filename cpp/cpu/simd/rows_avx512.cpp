// The level "avx512".
#if defined(ECHOSEG_X86_LEVELS)

#include <cmath>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

#include "echoseg/detail/heat.hpp"
#include "rows.hpp"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

namespace echoseg::avx512 {
namespace {

inline void expand_word(uint64_t word, uint8_t* out) {
    _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(word, 1));
}

inline uint64_t pack_word(const uint8_t* in) {
    const __m512i bytes = _mm512_loadu_si512(in);
    return _mm512_test_epi8_mask(bytes, bytes);
}

#include "rows.inl"

}  // namespace
}  // namespace echoseg::avx512

namespace echoseg::simd {

const Rows kRowsAvx512 = {
    "avx512",            avx512::parity_fill,    avx512::mask_rows,    avx512::expand,       avx512::pack,          avx512::or_ahead,
    avx512::copy_shifted, avx512::gaussian_table, avx512::square_table, avx512::gaussian_row, avx512::euclidean_row, avx512::argmax,
};

}  // namespace echoseg::simd

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
