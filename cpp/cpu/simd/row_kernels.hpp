// The inner loops, compiled once for each instruction-set level. They take raw pointers, allocate no memory and use no
// library templates: the linker might keep an inline library function that was compiled here for AVX-512 and use it for
// all callers.
//
// A bit image holds 64 pixels per word, pixel 0 in the lowest bit, and `pitch` words per row.
#pragma once

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)  // GCC and Clang; other compilers and processors use the baseline
#define ECHOSEG_X86_LEVELS
#endif

namespace echoseg::simd {

// Columns of heatmaps are drawn in aligned blocks of this size: one cache line, and never across two words of the band.
constexpr int64_t kBlock = 16;

// The part of a heatmap that may be non-zero. Tables, band and output start at its first row and column.
struct HeatmapWindow {
    int64_t first_column;  // a multiple of kBlock
    int64_t columns, rows;
    const float *factor_x, *factor_y;  // gaussian only; tables of columns extend to the end of the last block
    const float *square_x, *square_y;  // (column - landmark)^2
    float radius;
    // null, or the bits of the first row from column 0 of the image on; blocks without a bit are not written
    const uint64_t* band;
    int64_t pitch;
    float* out;
    int64_t out_pitch;  // floats per row
};

constexpr int kSiteBlock = 8;  // pixels of the distance transform that are computed together

// How distances along a row are computed (detail/distance.hpp), and workspace for rows of up to `count` pixels.
struct SiteRow {
    bool whole;  // squares are int32, otherwise double
    double ratio, spacing_x;
    void *sites, *squares;  // count + kSiteBlock squares each
    int64_t* nearest;       // count + 1
};

struct RowKernels {
    const char* name;

    // Rule "center": flips, in each row, all pixels of one word from each crossing with the contour on, and extends
    // rows[0] … rows[1] by the rows crossed. carry_fill then completes the rows.
    void (*cross_rows)(const float* points, int64_t count, int32_t height, int32_t width, int64_t pitch,
                       uint64_t* words, int32_t rows[2]);
    // In each row: if the last pixel of a word is set, flips all following words. Clears the bits from `width` on. Then
    // sets the bits of `marks`, unless it is null, and clears `marks`.
    void (*carry_fill)(uint64_t* words, uint64_t* marks, int64_t rows, int64_t pitch, int64_t width);
    // carry_fill and expand in one pass, which also clears `words`.
    void (*expand_fill)(uint64_t* words, uint64_t* marks, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes,
                        uint8_t* end);
    // Clears the bits from `width` on in each row.
    void (*mask_rows)(uint64_t* words, int64_t rows, int64_t pitch, int64_t width);
    // Bits to bytes, 0 or 1. May write beyond the last row, but not beyond `end`.
    void (*expand)(const uint64_t* words, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes, uint8_t* end);
    // Bytes to bits; any non-zero byte becomes 1.
    void (*pack)(const uint8_t* bytes, int64_t rows, int64_t pitch, int64_t width, uint64_t* words);
    // words[i] |= the bits `shift` ahead, across rows. Reads shift / 64 + 1 words beyond count.
    void (*or_ahead)(uint64_t* words, int64_t count, int64_t shift);
    // out[i] = (or |=) the bits of words `shift` ahead, across rows; shift may be negative.
    void (*copy_shifted)(const uint64_t* words, int64_t count, int64_t shift, bool add, uint64_t* out);
    // exp(-offset^2 * scale) and offset^2, where offset = column - center, for `count` columns from `first` on.
    void (*gaussian_table)(float center, float scale, int64_t first, int64_t count, float* factors, float* squares);
    void (*square_table)(float center, int64_t first, int64_t count, float* squares);
    void (*gaussian_window)(const HeatmapWindow& window);  // unlimited radius
    void (*disc_window)(const HeatmapWindow& window);      // gaussian, 0 beyond the radius
    void (*euclidean_window)(const HeatmapWindow& window);
    // Conversion of values in [0, 1] to narrower types: detail/narrow.hpp.
    void (*to_bfloat16)(const float* values, int64_t count, void* out);
    void (*to_float16)(const float* values, int64_t count, void* out);
    void (*to_uint8)(const float* values, int64_t count, void* out);
    // Writes zeros to `rows` rows of `bytes` bytes each, `pitch` bytes apart.
    void (*clear_rows)(void* first, int64_t bytes, int64_t rows, int64_t pitch);
    // Index of the first maximum; NaN counts as the maximum.
    int64_t (*argmax)(const float* values, int64_t count);
    // memset and memcpy past the caches, if the processor supports it. Callers must finish with stream_end, so that
    // other threads see the output.
    void (*stream_zeros)(void* out, int64_t bytes);
    void (*stream_copy)(const void* from, int64_t bytes, void* out);
    void (*stream_end)();
    // The number of rows between each pixel and the nearest zero of its column. Strides count elements.
    void (*column_distances)(const uint8_t* mask, int64_t mask_stride, int64_t rows, int64_t columns, float* distances,
                             int64_t stride);
    // Replaces these row counts by distances to the nearest zero of the image. All relevant sites must be in the run.
    void (*row_distances)(const SiteRow& site_row, float* run, int64_t count);
    // The same for n columns in ascending order, without changing the row.
    void (*distances_at)(const SiteRow& site_row, const float* row, int64_t count, const int32_t* columns, int64_t n,
                         double* distances);
};

// The kernels of the level in use.
const RowKernels& row_kernels();

extern const RowKernels kRowKernelsBaseline;
#if defined(ECHOSEG_X86_LEVELS)
extern const RowKernels kRowKernelsAvx2;
extern const RowKernels kRowKernelsAvx512;
#endif

}  // namespace echoseg::simd
