// Level "avx2".
#include "row_kernels.hpp"

#if defined(ECHOSEG_X86_LEVELS)

#include <immintrin.h>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "echoseg/detail/crossing.hpp"
#include "echoseg/detail/distance.hpp"
#include "echoseg/detail/heat.hpp"
#include "echoseg/detail/narrow.hpp"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

namespace echoseg::avx2 {
namespace {

inline void expand_word(uint64_t word, uint8_t* out) {
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3,
                                            3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201u));
    const __m256i one = _mm256_set1_epi8(1);
    int32_t halves[2];
    memcpy(halves, &word, sizeof halves);
    for (int half = 0; half < 2; ++half) {
        const __m256i copies = _mm256_shuffle_epi8(_mm256_set1_epi32(halves[half]), spread);
        const __m256i set = _mm256_min_epu8(_mm256_and_si256(copies, bit), one);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * half), set);
    }
}

inline uint64_t pack_word(const uint8_t* in) {
    uint64_t word = 0;
    for (int half = 0; half < 2; ++half) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + 32 * half));
        const int zero = _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256()));
        word |= static_cast<uint64_t>(~static_cast<uint32_t>(zero)) << (32 * half);
    }
    return word;
}

// The processor's conversion gives the same bits as detail::to_float16.
void to_float16(const float* values, int64_t count, void* out) {
    auto* to = static_cast<uint16_t*>(out);
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < count; ++i) to[i] = static_cast<uint16_t>(detail::to_float16(values[i]));
}

// Write one cache line past the caches.
inline void stream_zero_line(uint8_t* out) {
    for (int part = 0; part < 64; part += 32)
        _mm256_stream_si256(reinterpret_cast<__m256i*>(out + part), _mm256_setzero_si256());
}

inline void stream_line(const uint8_t* from, uint8_t* out) {
    for (int part = 0; part < 64; part += 32) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + part));
        _mm256_stream_si256(reinterpret_cast<__m256i*>(out + part), bytes);
    }
}

// clang-format off: the order matters
#include "stream.inl"
#include "row_kernels.inl"
#include "crossings.inl"
#include "distance.inl"
// clang-format on

}  // namespace
}  // namespace echoseg::avx2

namespace echoseg::simd {

const RowKernels kRowKernelsAvx2 = {
    "avx2",
    avx2::cross_rows,
    avx2::carry_fill,
    avx2::expand_fill,
    avx2::mask_rows,
    avx2::expand,
    avx2::pack,
    avx2::or_ahead,
    avx2::copy_shifted,
    avx2::gaussian_table,
    avx2::square_table,
    avx2::gaussian_window,
    avx2::disc_window,
    avx2::euclidean_window,
    avx2::to_bfloat16,
    avx2::to_float16,
    avx2::to_uint8,
    avx2::clear_rows,
    avx2::argmax,
    avx2::stream_zeros,
    avx2::stream_copy,
    avx2::stream_end,
    avx2::column_distances,
    avx2::row_distances,
    avx2::distances_at,
};

}  // namespace echoseg::simd

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
