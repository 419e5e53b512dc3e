// Included once for each level, inside a namespace of the level. Plain loops, which the compiler vectorises for the
// level.

// Asserts that a loop has no dependences that prevent vectorisation: a loop in place reads only elements that it has
// not written yet, or a loop writes nothing that it reads.
#if defined(__clang__)
#define ECHOSEG_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define ECHOSEG_INDEPENDENT _Pragma("GCC ivdep")
#else
#define ECHOSEG_INDEPENDENT
#endif

// The same for a short loop. Also prevents GCC from unrolling it into scalar code before vectorisation.
#if defined(__GNUC__) && !defined(__clang__)
#define ECHOSEG_SHORT_LOOP _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#else
#define ECHOSEG_SHORT_LOOP ECHOSEG_INDEPENDENT
#endif

void mask_rows(uint64_t* words, int64_t rows, int64_t pitch, int64_t width) {
    const int64_t whole = width / 64;
    if (whole == pitch) return;
    const uint64_t last = (static_cast<uint64_t>(1) << (width % 64)) - 1;
    for (int64_t y = 0; y < rows; ++y) {
        uint64_t* row = words + y * pitch;
        row[whole] &= last;
        for (int64_t i = whole + 1; i < pitch; ++i) row[i] = 0;
    }
}

// row(y) returns a function that is called once for each word of row y, in order, and returns its pixels.
template <typename Row>
inline void write_rows(int64_t rows, int64_t width, uint8_t* bytes, uint8_t* end, const Row& row) {
    const int64_t used = (width + 63) / 64;
    for (int64_t y = 0; y < rows; ++y) {
        auto pixels = row(y);
        uint8_t* out = bytes + y * width;
        // Bytes written beyond the end of a row are overwritten by the next row.
        const int64_t whole = end - out >= 64 * used ? used : width / 64;
        for (int64_t i = 0; i < whole; ++i) expand_word(pixels(i), out + 64 * i);
        if (whole < used) {
            uint8_t tail[64];
            expand_word(pixels(whole), tail);
            memcpy(out + 64 * whole, tail, static_cast<size_t>(width - 64 * whole));
        }
    }
}

void expand(const uint64_t* words, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes, uint8_t* end) {
    write_rows(rows, width, bytes, end, [=](int64_t y) { return [=](int64_t i) { return words[y * pitch + i]; }; });
}

void pack(const uint8_t* bytes, int64_t rows, int64_t pitch, int64_t width, uint64_t* words) {
    const uint8_t* end = bytes + rows * width;
    for (int64_t y = 0; y < rows; ++y) {
        const uint8_t* in = bytes + y * width;
        uint64_t* row = words + y * pitch;
        for (int64_t x = 0; x < width; x += 64) {
            if (end - in - x >= 64) {
                row[x / 64] = pack_word(in + x);
            } else {
                uint8_t tail[64] = {0};
                memcpy(tail, in + x, static_cast<size_t>(width - x < 64 ? width - x : 64));
                row[x / 64] = pack_word(tail);
            }
        }
    }
    mask_rows(words, rows, pitch, width);
}

void or_ahead(uint64_t* words, int64_t count, int64_t shift) {
    const int64_t q = shift / 64;
    const int r = static_cast<int>(shift % 64);
    if (r == 0) {
        ECHOSEG_INDEPENDENT
        for (int64_t i = 0; i < count; ++i) words[i] |= words[i + q];
    } else {
        ECHOSEG_INDEPENDENT
        for (int64_t i = 0; i < count; ++i) words[i] |= (words[i + q] >> r) | (words[i + q + 1] << (64 - r));
    }
}

void copy_shifted(const uint64_t* words, int64_t count, int64_t shift, bool add, uint64_t* __restrict out) {
    const int64_t q = shift >= 0 ? shift / 64 : -((-shift + 63) / 64);
    const int r = static_cast<int>(shift - q * 64);
    if (add) {
        if (r == 0) {
            for (int64_t i = 0; i < count; ++i) out[i] |= words[i + q];
        } else {
            for (int64_t i = 0; i < count; ++i) out[i] |= (words[i + q] >> r) | (words[i + q + 1] << (64 - r));
        }
    } else if (r == 0) {
        for (int64_t i = 0; i < count; ++i) out[i] = words[i + q];
    } else {
        for (int64_t i = 0; i < count; ++i) out[i] = (words[i + q] >> r) | (words[i + q + 1] << (64 - r));
    }
}

void gaussian_table(float center, float scale, int64_t first, int64_t count, float* __restrict factors,
                    float* __restrict squares) {
    for (int64_t i = 0; i < count; ++i) {
        const float offset = static_cast<float>(static_cast<int32_t>(first + i)) - center;
        squares[i] = offset * offset;
        factors[i] = detail::exp_minus(offset * offset * scale);
    }
}

void square_table(float center, int64_t first, int64_t count, float* squares) {
    for (int64_t i = 0; i < count; ++i) {
        const float offset = static_cast<float>(static_cast<int32_t>(first + i)) - center;
        squares[i] = offset * offset;
    }
}

// One block of a row, multiplied by the bits of the band. The product with 0 or 1 is exact; a conditional would become
// sixteen branches.
template <typename Value>
inline void draw_block(const Value& value, int64_t x, uint32_t band, float* out) {
    ECHOSEG_SHORT_LOOP
    for (uint32_t l = 0; l < simd::kBlock; ++l)
        out[l] = value(x + l) * static_cast<float>(static_cast<int32_t>((band >> l) & 1u));
}

// row(y) returns a function that maps a column to the value in row y.
template <typename Row>
inline void draw_window(const simd::HeatmapWindow& window, const Row& row) {
    const simd::HeatmapWindow w = window;  // a copy, so that the compiler knows that writes to `out` do not change it
    for (int64_t y = 0; y < w.rows; ++y) {
        const auto value = row(y);
        float* __restrict out = w.out + y * w.out_pitch;
        if (!w.band) {
            ECHOSEG_INDEPENDENT
            for (int64_t x = 0; x < w.columns; ++x) out[x] = value(x);
            continue;
        }
        const uint64_t* bits = w.band + y * w.pitch;
        for (int64_t x = 0; x < w.columns; x += simd::kBlock) {
            const auto column = static_cast<uint64_t>(w.first_column + x);
            const uint32_t band = static_cast<uint32_t>(bits[column / 64] >> (column % 64)) & 0xffff;
            if (band == 0) continue;
            if (w.columns - x >= simd::kBlock) {
                draw_block(value, x, band, out + x);
            } else {
                float part[simd::kBlock];
                draw_block(value, x, band, part);
                memcpy(out + x, part, static_cast<size_t>(w.columns - x) * sizeof *out);
            }
        }
    }
}

void gaussian_window(const simd::HeatmapWindow& w) {
    const float* factor_x = w.factor_x;
    draw_window(w, [=, &w](int64_t y) {
        const float factor_y = w.factor_y[y];
        return [=](int64_t x) { return factor_x[x] * factor_y; };
    });
}

void disc_window(const simd::HeatmapWindow& w) {
    const float *factor_x = w.factor_x, *square_x = w.square_x;
    const float radius_square = w.radius * w.radius;
    draw_window(w, [=, &w](int64_t y) {
        const float factor_y = w.factor_y[y], square_y = w.square_y[y];
        return [=](int64_t x) {
            return detail::gaussian_value(factor_x[x], factor_y, square_x[x], square_y, radius_square);
        };
    });
}

void euclidean_window(const simd::HeatmapWindow& w) {
    const float* square_x = w.square_x;
    const float radius = w.radius;
    draw_window(w, [=, &w](int64_t y) {
        const float square_y = w.square_y[y];
        return [=](int64_t x) { return detail::euclidean_value(square_x[x], square_y, radius); };
    });
}

void to_bfloat16(const float* __restrict values, int64_t count, void* out) {
    auto* __restrict to = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<uint16_t>(detail::to_bfloat16(values[i]));
}

void to_uint8(const float* __restrict values, int64_t count, void* out) {
    auto* __restrict to = static_cast<uint8_t*>(out);
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<uint8_t>(detail::to_uint8(values[i]));
}

void clear_rows(void* first, int64_t bytes, int64_t rows, int64_t pitch) {
    constexpr int64_t kLine = 64;
    for (int64_t y = 0; y < rows; ++y) {
        uint8_t* row = static_cast<uint8_t*>(first) + y * pitch;
        if (bytes < kLine) {
            memset(row, 0, static_cast<size_t>(bytes));
            continue;
        }
        // The last 64 bytes may overlap the previous ones.
        for (int64_t i = 0; i < bytes - kLine; i += kLine) memset(row + i, 0, kLine);
        memset(row + bytes - kLine, 0, kLine);
    }
}

// NaN if one of the values is NaN. Compares bits as integers, since the compiler may reorder a maximum of integers but
// not of floats: the largest is the maximum, unless all signs are set; then the smallest is.
inline float maximum(const float* values, int64_t count) {
    const auto bits_at = [values](int64_t i) {
        int32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        return bits;
    };
    int32_t best = INT32_MIN, magnitude = 0;
    for (int64_t i = 0; i < count; ++i) {
        const int32_t bits = bits_at(i), here = bits & INT32_MAX;
        best = bits > best ? bits : best;
        magnitude = here > magnitude ? here : magnitude;
    }
    if (magnitude > 0x7f800000) return NAN;
    int32_t smallest = best;
    if (best < 0)
        for (int64_t i = 0; i < count; ++i) {
            const int32_t bits = bits_at(i);
            smallest = bits < smallest ? bits : smallest;
        }
    float result;
    memcpy(&result, &smallest, sizeof result);
    return result;
}

int64_t argmax(const float* values, int64_t count) {
    // Finds the first run that contains the maximum, then its first part that does, since a loop with an early exit is
    // not vectorised.
    constexpr int64_t kRun = 512, kPart = 32;
    float best = -HUGE_VALF;
    int64_t at = 0;
    for (int64_t run = 0; run < count && best == best; run += kRun) {
        const float here = maximum(values + run, count - run < kRun ? count - run : kRun);
        if (here <= best) continue;
        best = here;
        at = run;
    }
    if (best != best) {
        while (values[at] == values[at]) ++at;
        return at;
    }
    for (; at + kPart <= count; at += kPart) {
        int32_t found = 0;
        for (int64_t i = 0; i < kPart; ++i) found |= static_cast<int32_t>(values[at + i] == best);
        if (found) break;
    }
    while (values[at] != best) ++at;
    return at;
}
