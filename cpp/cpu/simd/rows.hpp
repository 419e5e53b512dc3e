// The inner loops that are compiled once for each instruction-set level. They take raw pointers, allocate nothing and use no
// library templates: an inline function of the standard library compiled here for AVX-512 might be the copy that the linker
// keeps for everyone.
//
// A bit image holds 64 pixels a word, pixel 0 in the lowest bit, `pitch` words a row.
#pragma once

#include <cstdint>

#if defined(__x86_64__) && defined(__GNUC__)  // Clang says so too; elsewhere the baseline serves
#define ECHOSEG_X86_LEVELS
#endif

namespace echoseg::simd {

// Columns are drawn in blocks of this many, starting at multiples of it: a cache line, and never across a word of the band.
constexpr int64_t kBlock = 16;

// The part of a heatmap's plane that can be other than zero. Tables, band and output begin at its first row and column.
struct HeatmapWindow {
    int64_t first_column;  // a multiple of kBlock
    int64_t columns, rows;
    const float *factor_x, *factor_y;  // gaussian only; tables of columns go on to the end of the last block
    const float *square_x, *square_y;  // (column - landmark)^2
    float radius;
    const uint64_t* band;  // bits of the first row, from column 0 of the image on, or null; blocks without one are left alone
    int64_t pitch;
    float* out;
    int64_t out_pitch;  // floats a row
};

constexpr int kSiteBlock = 8;  // pixels of the distance transform that are worked out together

// How a row's distances are measured (detail/distance.hpp), and room to do it in for rows of up to `count` pixels.
struct SiteRow {
    bool whole;  // squares are int32, else double
    double ratio, spacing_x;
    void *sites, *squares;  // count + kSiteBlock squares each
    int64_t* nearest;       // count + 1
};

struct Rows {
    const char* name;

    // Rule "center": flips, in each row, all pixels of one word from that on at which the closed outline crosses it, and widens
    // rows[0] … rows[1] to the rows crossed. carry_fill does the words behind.
    void (*cross_rows)(const float* points, int64_t count, int32_t height, int32_t width, int64_t pitch, uint64_t* words,
                       int32_t rows[2]);
    // Each row: the last pixel of a word flips all words behind; bits at and beyond `width` become 0.
    void (*carry_fill)(uint64_t* words, int64_t rows, int64_t pitch, int64_t width);
    // Clears the bits at and beyond `width` in each row.
    void (*mask_rows)(uint64_t* words, int64_t rows, int64_t pitch, int64_t width);
    // One byte a pixel, 0 or 1. May spill beyond the last row, but not to `end`.
    void (*expand)(const uint64_t* words, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes, uint8_t* end);
    // One bit a pixel, 1 for any byte but 0.
    void (*pack)(const uint8_t* bytes, int64_t rows, int64_t pitch, int64_t width, uint64_t* words);
    // words[i] |= the bits `shift` ahead, over row ends; reads shift / 64 + 1 words beyond count.
    void (*or_ahead)(uint64_t* words, int64_t count, int64_t shift);
    // out[i] (|)= the bits `shift` ahead (shift may be negative) of words, over row ends.
    void (*copy_shifted)(const uint64_t* words, int64_t count, int64_t shift, bool add, uint64_t* out);
    // exp(-offset^2 * scale) and offset^2 for `count` columns from `first` on, about `center`.
    void (*gaussian_table)(float center, float scale, int64_t first, int64_t count, float* factors, float* squares);
    void (*square_table)(float center, int64_t first, int64_t count, float* squares);
    void (*gaussian_window)(const HeatmapWindow& window);  // without a radius
    void (*disc_window)(const HeatmapWindow& window);      // gaussian, zero beyond the radius
    void (*euclidean_window)(const HeatmapWindow& window);
    // Values in [0, 1] in narrower types.
    void (*to_bfloat16)(const float* values, int64_t count, void* out);
    void (*to_float16)(const float* values, int64_t count, void* out);
    void (*to_uint8)(const float* values, int64_t count, void* out);
    // Zeros in `rows` rows of so many bytes, `pitch` bytes apart.
    void (*clear_rows)(void* first, int64_t bytes, int64_t rows, int64_t pitch);
    // Index of the first maximum; a NaN is the maximum.
    int64_t (*argmax)(const float* values, int64_t count);
    // Past the caches, where the processor can; else like memset and memcpy. Whoever calls them ends with stream_end, so that
    // other threads see what was written.
    void (*stream_zeros)(void* out, int64_t bytes);
    void (*stream_copy)(const void* from, int64_t bytes, void* out);
    void (*stream_end)();
    // The rows between each pixel and the nearest zero of its column; strides in elements.
    void (*column_distances)(const uint8_t* mask, int64_t mask_stride, int64_t rows, int64_t columns, float* distances,
                             int64_t stride);
    // From those, in place, the distance to the nearest zero on the plane, where all sites that matter lie in the run.
    void (*row_distances)(const SiteRow& how, float* run, int64_t count);
    // The same for the n ascending columns alone.
    void (*distances_at)(const SiteRow& how, const float* row, int64_t count, const int32_t* columns, int64_t n,
                         double* distances);
};

// The table of the level in use.
const Rows& rows();

extern const Rows kRowsBaseline;
#if defined(ECHOSEG_X86_LEVELS)
extern const Rows kRowsAvx2;
extern const Rows kRowsAvx512;
#endif

}  // namespace echoseg::simd
