// Level "avx512".
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
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif

namespace echoseg::avx512 {
namespace {

inline void expand_word(uint64_t word, uint8_t* out) { _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(word, 1)); }

inline uint64_t pack_word(const uint8_t* in) {
    const __m512i bytes = _mm512_loadu_si512(in);
    return _mm512_test_epi8_mask(bytes, bytes);
}

// The processor's conversion gives the same bits as detail::to_float16. GCC 12 warns about the unmasked intrinsic.
void to_float16(const float* values, int64_t count, void* out) {
    auto* to = static_cast<uint16_t*>(out);
    int64_t i = 0;
    for (; i + 16 <= count; i += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + i),
                            _mm512_maskz_cvtps_ph(0xffff, _mm512_loadu_ps(values + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < count; ++i) to[i] = static_cast<uint16_t>(detail::to_float16(values[i]));
}

// Write one cache line past the caches.
inline void stream_zero_line(uint8_t* out) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(out), _mm512_setzero_si512());
}

inline void stream_line(const uint8_t* from, uint8_t* out) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(out), _mm512_loadu_si512(from));
}

// clang-format off: the order matters
#include "stream.inl"
#include "row_kernels.inl"
#include "crossings.inl"
#include "distance.inl"
// clang-format on

}  // namespace
}  // namespace echoseg::avx512

namespace echoseg::simd {

const RowKernels kRowKernelsAvx512 = {
    "avx512",
    avx512::cross_rows,
    avx512::carry_fill,
    avx512::expand_fill,
    avx512::mask_rows,
    avx512::expand,
    avx512::pack,
    avx512::or_ahead,
    avx512::copy_shifted,
    avx512::gaussian_table,
    avx512::square_table,
    avx512::gaussian_window,
    avx512::disc_window,
    avx512::euclidean_window,
    avx512::to_bfloat16,
    avx512::to_float16,
    avx512::to_uint8,
    avx512::clear_rows,
    avx512::argmax,
    avx512::stream_zeros,
    avx512::stream_copy,
    avx512::stream_end,
    avx512::column_distances,
    avx512::row_distances,
    avx512::distances_at,
};

}  // namespace echoseg::simd

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
