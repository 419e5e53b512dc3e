// The level "avx512".
#include "rows.hpp"

#if defined(ECHOSEG_X86_LEVELS)

#include <cmath>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/heat.hpp"

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

void stream_zeros(void* bytes, int64_t count) {
    auto* at = static_cast<uint8_t*>(bytes);
    uint8_t* end = at + count;
    const int64_t head = (64 - static_cast<int64_t>(reinterpret_cast<uintptr_t>(at) % 64)) % 64;
    if (count < head + 64) {
        memset(at, 0, static_cast<size_t>(count));
        return;
    }
    memset(at, 0, static_cast<size_t>(head));
    for (at += head; end - at >= 64; at += 64) _mm512_stream_si512(reinterpret_cast<__m512i*>(at), _mm512_setzero_si512());
    memset(at, 0, static_cast<size_t>(end - at));
    _mm_sfence();
}

#include "rows.inl"

}  // namespace
}  // namespace echoseg::avx512

namespace echoseg::simd {

const Rows kRowsAvx512 = {
    "avx512",
    avx512::cross_rows,
    avx512::parity_fill,
    avx512::mask_rows,
    avx512::expand,
    avx512::pack,
    avx512::or_ahead,
    avx512::copy_shifted,
    avx512::gaussian_table,
    avx512::square_table,
    avx512::gaussian_window,
    avx512::euclidean_window,
    avx512::argmax,
    avx512::stream_zeros,
};

}  // namespace echoseg::simd

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
