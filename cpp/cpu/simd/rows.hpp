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

// The part of a heatmap's plane that can be other than zero, with what is known of its columns and rows (tables from index 0).
struct HeatmapWindow {
    int64_t first_column, end_column, first_row, end_row;  // first_column is a multiple of kBlock
    const float *factor_x, *factor_y;                      // gaussian only
    const float *square_x, *square_y;                      // (column - landmark)^2
    float radius;
    const uint64_t* band;  // bits of first_row, or null; blocks without a single bit are left alone
    int64_t pitch;
    float* plane;
    int64_t width;
};

struct Rows {
    const char* name;

    // Rule "center": flips, in each row, the bit at which the closed outline crosses it, and widens rows[0] … rows[1] to the
    // rows crossed.
    void (*cross_rows)(const float* points, int64_t count, int32_t height, int32_t width, int64_t pitch, uint64_t* words,
                       int32_t rows[2]);
    // Each row: pixel p becomes the parity of pixels 0 … p; bits at and beyond `width` become 0.
    void (*parity_fill)(uint64_t* words, int64_t rows, int64_t pitch, int64_t width);
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
    // exp(-offset^2 * scale) and offset^2 for the columns [first, end) about `center`, written at their own index.
    void (*gaussian_table)(float center, float scale, int64_t first, int64_t end, float* factors, float* squares);
    void (*square_table)(float center, int64_t first, int64_t end, float* squares);
    void (*gaussian_window)(const HeatmapWindow& window);
    void (*euclidean_window)(const HeatmapWindow& window);
    // Index of the first maximum; a NaN is the maximum.
    int64_t (*argmax)(const float* values, int64_t count);
    // Zeros past the caches, where the processor can; else like memset.
    void (*stream_zeros)(void* bytes, int64_t count);
};

// The table of the level in use.
const Rows& rows();

extern const Rows kRowsBaseline;
#if defined(ECHOSEG_X86_LEVELS)
extern const Rows kRowsAvx2;
extern const Rows kRowsAvx512;
#endif

}  // namespace echoseg::simd
