// The inner loops that are compiled once for each instruction-set level. They take raw pointers, allocate nothing and use no
// library templates: an inline function of the standard library compiled here for AVX-512 might be the copy that the linker
// keeps for everyone.
//
// A bit image holds 64 pixels a word, pixel 0 in the lowest bit, `pitch` words a row.
#pragma once

#include <cstdint>

namespace echoseg::simd {

struct HeatmapWindow {
    const float* factor_x;  // gaussian: one factor a column; unused for euclidean
    const float* square_x;  // (column - landmark)^2
    float factor_y;
    float square_y;
    float radius;
};

struct Rows {
    const char* name;

    // Each row: pixel p becomes the parity of pixels 0 … p. Bits beyond the image are flipped too: mask_rows clears them.
    void (*parity_fill)(uint64_t* words, int64_t rows, int64_t pitch);
    // Clears the bits at and beyond `width` in each row.
    void (*mask_rows)(uint64_t* words, int64_t rows, int64_t pitch, int64_t width);
    // One byte a pixel, 0 or 1.
    void (*expand)(const uint64_t* words, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes);
    // One bit a pixel, 1 for any byte but 0.
    void (*pack)(const uint8_t* bytes, int64_t rows, int64_t pitch, int64_t width, uint64_t* words);
    // words[i] |= the bits `shift` ahead, over row ends; reads shift / 64 + 1 words beyond count.
    void (*or_ahead)(uint64_t* words, int64_t count, int64_t shift);
    // out[i] (|)= the bits `shift` ahead (shift may be negative) of words, over row ends.
    void (*copy_shifted)(const uint64_t* words, int64_t count, int64_t shift, bool add, uint64_t* out);
    // exp(-offset^2 * scale) and offset^2 for the columns first … first + count - 1 about `center`.
    void (*gaussian_table)(float center, float scale, int64_t first, int64_t count, float* factors, float* squares);
    void (*square_table)(float center, int64_t first, int64_t count, float* squares);
    // One row of a heatmap's window. `bits` is the band's row (or null), `first` the window's first column.
    void (*gaussian_row)(const HeatmapWindow& window, int64_t first, int64_t count, const uint64_t* bits, float* out);
    void (*euclidean_row)(const HeatmapWindow& window, int64_t first, int64_t count, const uint64_t* bits, float* out);
    // Index of the first maximum; a NaN is the maximum.
    int64_t (*argmax)(const float* values, int64_t count);
};

// The table of the level in use.
const Rows& rows();

extern const Rows kRowsBaseline;
#if defined(ECHOSEG_X86_LEVELS)
extern const Rows kRowsAvx2;
extern const Rows kRowsAvx512;
#endif

}  // namespace echoseg::simd
