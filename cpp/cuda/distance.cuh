// The two passes of the exact distance transform. The first finds the sites of a column: its pixels are the bits of
// column words, 32 rows each, so that the nearest site above or below is found by counting zeros. Word (g, x) holds rows
// 32 g … 32 g + 31 of column x, row 32 g in the lowest bit; bits below the image are 0.
#pragma once

#include <cmath>

#include "echoseg/detail/distance.hpp"
#include "strips.cuh"

namespace echoseg::cuda {

constexpr int32_t kNoRows = 1 << 30;  // number of rows to a site that does not exist

struct Metric {
    double ratio, spacing_x;
};

inline Metric metric_of(Spacing spacing) { return {spacing.y / spacing.x, spacing.x}; }

// The squared distances are int32_t or double (detail::has_whole_squares). kNone is that of a missing site.
template <typename Square>
struct Squares;

template <>
struct Squares<int32_t> {
    static constexpr int32_t kNone = detail::kNoSite;
    __device__ static int32_t of_rows(float rows, const Metric&) { return detail::whole_site_square(rows); }
};

template <>
struct Squares<double> {
    static constexpr double kNone = HUGE_VAL;
    __device__ static double of_rows(float rows, const Metric& metric) {
        return detail::scaled_site_square(rows, metric.ratio);
    }
};

// rows: the number of rows to a site.
template <typename Square>
__device__ inline Square site_square(int32_t rows, const Metric& metric) {
    return Squares<Square>::of_rows(rows < kNoRows ? static_cast<float>(rows) : HUGE_VALF, metric);
}

template <typename Square>
__device__ inline double distance_of(Square least, const Metric& metric) {
    return least < Squares<Square>::kNone ? detail::distance_of(static_cast<double>(least), metric.spacing_x)
                                          : HUGE_VAL;
}

// The column words of an image.
struct Columns {
    const uint32_t* words;
    int32_t groups, width;

    __device__ const uint32_t* at(int32_t group, int32_t x) const { return words + int64_t{group} * width + x; }

    // Number of rows from (x, y) up to the nearest site, 0 if (x, y) is one; `limit` if that is smaller.
    __device__ int32_t rows_up(int32_t x, int32_t y, int32_t limit) const {
        const uint32_t* word = at(y / 32, x);
        uint32_t bits = *word << (31 - y % 32);
        int32_t rows = y % 32 - 31;  // from y to the highest bit of `word`
        ECHOSEG_NO_UNROLL
        while (bits == 0) {
            rows += 32;
            if (rows > y || rows >= limit) return limit;
            word -= width;
            bits = *word;
        }
        rows = (rows < 0 ? 0 : rows) + __clz(static_cast<int>(bits));
        return rows < limit ? rows : limit;
    }

    // The same downwards.
    __device__ int32_t rows_down(int32_t x, int32_t y, int32_t limit) const {
        const uint32_t* word = at(y / 32, x);
        uint32_t bits = *word >> (y % 32);
        int32_t rows = -(y % 32);  // from y to the lowest bit of `word`
        ECHOSEG_NO_UNROLL
        while (bits == 0) {
            rows += 32;
            if (y + rows >= 32 * groups || rows >= limit) return limit;
            word += width;
            bits = *word;
        }
        rows = (rows < 0 ? 0 : rows) + __ffs(static_cast<int>(bits)) - 1;
        return rows < limit ? rows : limit;
    }

    __device__ int32_t rows_to_site(int32_t x, int32_t y, int32_t limit) const {
        return rows_down(x, y, rows_up(x, y, limit));
    }
};

// What a column word and the sites above and below it say about each of its rows.
struct NearSites {
    uint32_t bits;
    int32_t above, below;  // rows from the first row up and from the last row down

    __device__ NearSites(const Columns& columns, int32_t group, int32_t x)
        : bits(*columns.at(group, x)),
          above(group == 0 ? kNoRows : columns.rows_up(x, 32 * group - 1, kNoRows) + 1),
          below(group + 1 == columns.groups ? kNoRows : columns.rows_down(x, 32 * group + 32, kNoRows) + 1) {}

    // At least kNoRows if the column has no site.
    __device__ int32_t rows_to_site(int32_t row) const {
        const uint32_t upper = bits << (31 - row), lower = bits >> row;
        const int32_t up = upper ? __clz(static_cast<int>(upper)) : row + above,
                      down = lower ? __ffs(static_cast<int>(lower)) - 1 : 31 - row + below;
        return up < down ? up : down;
    }
};

inline int64_t column_words(ImageSize size) { return (size.height + 31) / 32 * size.width; }

// Reads group `group` of kPixels columns, x the first: a bit for each byte that is not 0. `mask`: the image.
template <int kPixels>
__device__ inline void read_columns(const uint8_t* mask, int32_t height, int32_t width, int32_t group, int32_t x,
                                    uint32_t* words) {
    const uint8_t* in = mask + int64_t{32} * group * width + x;
    const int32_t rows = height - 32 * group;
    for (int32_t i = 0; i < kPixels; ++i) words[i] = 0;
    for (int32_t first = 0; first < 32; first += 8) {
        uint32_t eight = 0;  // rows first … first + 7, a byte for each column
        for (int32_t row = first; row < first + 8; ++row) {
            eight >>= 1;
            if (row < rows)
                eight |= high_bits(first_four(*reinterpret_cast<const Bytes<kPixels>*>(in + int64_t{row} * width)));
        }
        for (int32_t i = 0; i < kPixels; ++i) words[i] |= ((eight >> (8 * i)) & 255u) << first;
    }
}

}  // namespace echoseg::cuda
