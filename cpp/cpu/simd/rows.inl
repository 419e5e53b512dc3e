// Included once a level, inside a namespace of that level's own. Plain loops: the compiler vectorises them for the level.

// Says of a loop that works in place that it only looks ahead, so that whole vectors may be read before they are written; or that
// it writes nothing that it reads.
#if defined(__clang__)
#define ECHOSEG_LOOKS_AHEAD _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define ECHOSEG_LOOKS_AHEAD _Pragma("GCC ivdep")
#else
#define ECHOSEG_LOOKS_AHEAD
#endif

// The same of a short loop, which GCC is also kept from unrolling into scalars before it comes to vectorising.
#if defined(__GNUC__) && !defined(__clang__)
#define ECHOSEG_SHORT_LOOP _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#else
#define ECHOSEG_SHORT_LOOP ECHOSEG_LOOKS_AHEAD
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

// Crossings wait here in groups of four rows of one edge, dead lanes included, until there are enough to be worked out in flat
// loops without branches: most edges of a smooth outline cross one to five rows, and mispredicting that costs more than a spare
// lane.
struct Crossings {
    static constexpr int kGroups = 64, kLanes = 4 * kGroups;

    int32_t width;
    int64_t pitch;
    uint64_t* words;
    int groups = 0;
    detail::Edge edges[kGroups];
    int32_t rows[kGroups];
    double estimate[kLanes];
    int32_t left[kLanes];  // rows that the edge still has from this lane on
    int64_t index[kLanes];
    int32_t column[kLanes];
    uint64_t flip[kLanes];

    void add(const detail::Edge& edge, double slope, int32_t first, int32_t end) {
        for (int32_t row = first; row < end; row += 4) {
            if (groups == kGroups) flush();
            const double at = edge.x0 + (static_cast<double>(row) - edge.y0) * slope;
            const int64_t start = row * pitch;
            edges[groups] = edge;
            rows[groups] = row;
            const int base = 4 * groups++;
            const int32_t last = end - 1 - row;
            const double steps[4] = {0.0, 1.0, 2.0, 3.0};
            for (int l = 0; l < 4; ++l) estimate[base + l] = at + steps[l] * slope;
            for (int l = 0; l < 4; ++l) left[base + l] = end - row - l;
            // Dead lanes flip nothing in the last live row.
            for (int l = 0; l < 4; ++l) index[base + l] = start + (l < last ? l : last) * pitch;
        }
    }

    void flush() {
        const int lanes = 4 * groups;
        int32_t any_unsure = 0;
        for (int i = 0; i < lanes; ++i) {
            bool unsure;
            column[i] = detail::estimated_column(estimate[i], width, unsure);
            any_unsure |= static_cast<int32_t>(unsure & (left[i] > 0));
        }
        if (any_unsure)
            for (int i = 0; i < lanes; ++i)
                if (left[i] > 0) column[i] = detail::crossing_column(edges[i / 4], rows[i / 4] + i % 4, width);
        for (int i = 0; i < lanes; ++i) {
            const bool live = (left[i] > 0) & (column[i] < width);
            index[i] += live ? column[i] >> 6 : 0;
            flip[i] = static_cast<uint64_t>(live) << (column[i] & 63);
        }
        // Not in order: neighbours may flip the same word, and each would wait for the one before.
        for (int l = 0; l < 4; ++l)
            for (int i = l; i < lanes; i += 4) words[index[i]] ^= flip[i];
        groups = 0;
    }
};

void cross_rows(const float* points, int64_t count, int32_t height, int32_t width, int64_t pitch, uint64_t* words,
                int32_t rows[2]) {
    constexpr int64_t kChunk = 64;
    Crossings crossings;
    crossings.width = width;
    crossings.pitch = pitch;
    crossings.words = words;
    double x0[kChunk], y0[kChunk], x1[kChunk], y1[kChunk], slope[kChunk];
    int32_t first[kChunk], end[kChunk];
    for (int64_t begin = 0; begin < count; begin += kChunk) {
        const int64_t n = count - begin < kChunk ? count - begin : kChunk;
        for (int64_t i = 0; i < n; ++i) {
            const float* b = points + 2 * (begin + i);
            const float* a = begin + i == 0 ? points + 2 * (count - 1) : b - 2;
            const detail::Edge edge = detail::make_edge(a[0], a[1], b[0], b[1]);
            x0[i] = edge.x0;
            y0[i] = edge.y0;
            x1[i] = edge.x1;
            y1[i] = edge.y1;
        }
        int32_t top = rows[0], bottom = rows[1];
        for (int64_t i = 0; i < n; ++i) {
            slope[i] = (x1[i] - x0[i]) / (y1[i] - y0[i]);
            first[i] = detail::ceil_clamped(y0[i], height);
            end[i] = detail::ceil_clamped(y1[i], height);
            const bool none = first[i] >= end[i];
            const int32_t from = none ? height : first[i], to = none ? 0 : end[i];
            top = from < top ? from : top;
            bottom = to > bottom ? to : bottom;
        }
        rows[0] = top;
        rows[1] = bottom;
        for (int64_t i = 0; i < n; ++i) crossings.add({x0[i], y0[i], x1[i], y1[i]}, slope[i], first[i], end[i]);
    }
    crossings.flush();
}

void parity_fill(uint64_t* words, int64_t rows, int64_t pitch, int64_t width) {
    for (int64_t i = 0; i < rows * pitch; ++i) {
        uint64_t w = words[i];
        w ^= w << 1;
        w ^= w << 2;
        w ^= w << 4;
        w ^= w << 8;
        w ^= w << 16;
        words[i] = w ^ (w << 32);
    }
    for (int64_t y = 0; y < rows && pitch > 1; ++y) {
        uint64_t* row = words + y * pitch;
        for (int64_t i = 1; i < pitch; ++i) row[i] ^= static_cast<uint64_t>(0) - (row[i - 1] >> 63);
    }
    mask_rows(words, rows, pitch, width);
}

void expand(const uint64_t* words, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes, uint8_t* end) {
    for (int64_t y = 0; y < rows; ++y) {
        const uint64_t* row = words + y * pitch;
        uint8_t* out = bytes + y * width;
        for (int64_t x = 0; x < width; x += 64) {
            // What spills over a row's end is overwritten by the next row.
            if (end - out - x >= 64) {
                expand_word(row[x / 64], out + x);
            } else {
                uint8_t tail[64];
                expand_word(row[x / 64], tail);
                memcpy(out + x, tail, static_cast<size_t>(width - x < 64 ? width - x : 64));
            }
        }
    }
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
        ECHOSEG_LOOKS_AHEAD
        for (int64_t i = 0; i < count; ++i) words[i] |= words[i + q];
    } else {
        ECHOSEG_LOOKS_AHEAD
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

// One block of a row, as far as the band's bits let it through: a product with 1 or 0, which is exact, as a choice between the two
// would become sixteen branches.
template <typename Value>
inline void draw_block(const Value& value, int64_t x, uint32_t band, float* out) {
    ECHOSEG_SHORT_LOOP
    for (uint32_t l = 0; l < simd::kBlock; ++l)
        out[l] = value(x + l) * static_cast<float>(static_cast<int32_t>((band >> l) & 1u));
}

// `row(y)` makes the function that gives the value at a column of row y.
template <typename Row>
inline void draw_window(const simd::HeatmapWindow& window, const Row& row) {
    const simd::HeatmapWindow w = window;  // a copy, which what is written cannot be suspected to change
    for (int64_t y = 0; y < w.rows; ++y) {
        const auto value = row(y);
        float* __restrict out = w.out + y * w.out_pitch;
        if (!w.band) {
            ECHOSEG_LOOKS_AHEAD
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
        return [=](int64_t x) { return detail::gaussian_value(factor_x[x], factor_y, square_x[x], square_y, radius_square); };
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
    for (int64_t i = 0; i < count; ++i) to[i] = detail::to_bfloat16(values[i]);
}

void to_float16(const float* __restrict values, int64_t count, void* out) {
    auto* __restrict to = static_cast<uint16_t*>(out);
    for (int64_t i = 0; i < count; ++i) to[i] = detail::to_float16(values[i]);
}

void to_uint8(const float* __restrict values, int64_t count, void* out) {
    auto* __restrict to = static_cast<uint8_t*>(out);
    for (int64_t i = 0; i < count; ++i) to[i] = detail::to_uint8(values[i]);
}

void clear_rows(void* first, int64_t bytes, int64_t rows, int64_t pitch) {
    constexpr int64_t kLine = 64;
    for (int64_t y = 0; y < rows; ++y) {
        uint8_t* row = static_cast<uint8_t*>(first) + y * pitch;
        if (bytes < kLine) {
            memset(row, 0, static_cast<size_t>(bytes));
            continue;
        }
        // The last line may overlap the one before it.
        for (int64_t i = 0; i < bytes - kLine; i += kLine) memset(row + i, 0, kLine);
        memset(row + bytes - kLine, 0, kLine);
    }
}

// Floats in an order that integers share; -0 and 0 are equal in it.
inline int32_t ordered(int32_t bits) {
    const int32_t whole = bits == INT32_MIN ? 0 : bits;
    return whole < 0 ? INT32_MIN - whole : whole;
}

int64_t argmax(const float* values, int64_t count) {
    // The first run of values that holds the maximum is searched again for its place. Integers, since the compiler may reorder
    // a maximum of integers but not one of floats.
    constexpr int64_t kRun = 256;
    int32_t best = INT32_MIN;
    int64_t best_run = 0;
    bool nan = false;
    for (int64_t run = 0; run < count && !nan; run += kRun) {
        const int64_t n = count - run < kRun ? count - run : kRun;
        int32_t top = INT32_MIN, largest = 0;
        for (int64_t i = 0; i < n; ++i) {
            int32_t bits;
            memcpy(&bits, values + run + i, sizeof bits);
            const int32_t key = ordered(bits), magnitude = bits & INT32_MAX;
            top = key > top ? key : top;
            largest = magnitude > largest ? magnitude : largest;
        }
        nan = largest > 0x7f800000;
        if (nan || top > best) {
            best = top;
            best_run = run;
        }
    }
    int64_t i = best_run;
    if (nan) {
        while (values[i] == values[i]) ++i;
        return i;
    }
    for (;; ++i) {
        int32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        if (ordered(bits) == best) return i;
    }
}
