// Included once a level, inside a namespace of that level's own. Plain loops: the compiler vectorises them for the level.

// Says of a loop that works in place that it only looks ahead, so that whole vectors may be read before they are written.
#if defined(__clang__)
#define ECHOSEG_LOOKS_AHEAD _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define ECHOSEG_LOOKS_AHEAD _Pragma("GCC ivdep")
#else
#define ECHOSEG_LOOKS_AHEAD
#endif

void parity_fill(uint64_t* words, int64_t rows, int64_t pitch) {
    for (int64_t y = 0; y < rows; ++y) {
        uint64_t* row = words + y * pitch;
        uint64_t carry = 0;
        for (int64_t i = 0; i < pitch; ++i) {
            uint64_t w = row[i];
            w ^= w << 1;
            w ^= w << 2;
            w ^= w << 4;
            w ^= w << 8;
            w ^= w << 16;
            w ^= w << 32;
            w ^= carry;
            row[i] = w;
            carry = static_cast<uint64_t>(0) - (w >> 63);
        }
    }
}

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

void expand(const uint64_t* words, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes) {
    for (int64_t y = 0; y < rows; ++y) {
        const uint64_t* row = words + y * pitch;
        uint8_t* out = bytes + y * width;
        int64_t x = 0;
        for (; x + 64 <= width; x += 64) expand_word(row[x / 64], out + x);
        if (x < width) {
            uint8_t tail[64];
            expand_word(row[x / 64], tail);
            memcpy(out + x, tail, static_cast<size_t>(width - x));
        }
    }
}

void pack(const uint8_t* bytes, int64_t rows, int64_t pitch, int64_t width, uint64_t* words) {
    for (int64_t y = 0; y < rows; ++y) {
        const uint8_t* in = bytes + y * width;
        uint64_t* row = words + y * pitch;
        int64_t x = 0;
        for (; x + 64 <= width; x += 64) row[x / 64] = pack_word(in + x);
        int64_t next = x / 64;
        if (x < width) {
            uint8_t tail[64] = {0};
            memcpy(tail, in + x, static_cast<size_t>(width - x));
            row[next++] = pack_word(tail);
        }
        for (; next < pitch; ++next) row[next] = 0;
    }
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

// 1.0 where bit i of a window's row is set, else 0.0.
inline uint64_t band_bits(const uint64_t* bits, int64_t first, int64_t count) {
    const int64_t q = first / 64;
    const int r = static_cast<int>(first % 64);
    uint64_t low = bits[q] >> r;
    if (r != 0 && r + count > 64) low |= bits[q + 1] << (64 - r);
    return low;
}

inline void apply_band(const uint64_t* bits, int64_t first, int64_t count, float* out) {
    for (int64_t x = 0; x < count; x += 64) {
        const int64_t n = count - x < 64 ? count - x : 64;
        const uint64_t band = band_bits(bits, first + x, n);
        for (int64_t i = 0; i < n; ++i) out[x + i] = (band >> i) & 1 ? out[x + i] : 0.0f;
    }
}

void gaussian_row(const simd::HeatmapWindow& window, int64_t first, int64_t count, const uint64_t* bits, float* __restrict out) {
    const float radius_square = window.radius * window.radius;
    for (int64_t i = 0; i < count; ++i)
        out[i] = detail::gaussian_value(window.factor_x[i], window.factor_y, window.square_x[i], window.square_y, radius_square);
    if (bits) apply_band(bits, first, count, out);
}

void euclidean_row(const simd::HeatmapWindow& window, int64_t first, int64_t count, const uint64_t* bits, float* __restrict out) {
    for (int64_t i = 0; i < count; ++i) out[i] = detail::euclidean_value(window.square_x[i], window.square_y, window.radius);
    if (bits) apply_band(bits, first, count, out);
}

int64_t argmax(const float* values, int64_t count) {
    constexpr int kLanes = 16;
    if (count < kLanes) {
        int64_t best = 0;
        for (int64_t i = 0; i < count; ++i) {
            if (values[i] != values[i]) return i;
            if (values[i] > values[best]) best = i;
        }
        return best;
    }
    float best[kLanes];
    uint32_t unordered[kLanes] = {0};
    for (int l = 0; l < kLanes; ++l) best[l] = values[l];
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (int l = 0; l < kLanes; ++l) {
            const float v = values[i + l];
            best[l] = v > best[l] ? v : best[l];
            unordered[l] |= v != v ? 1u : 0u;
        }
    }
    for (i = count - kLanes; i < count; ++i) {
        const int l = static_cast<int>(i - (count - kLanes));
        best[l] = values[i] > best[l] ? values[i] : best[l];
        unordered[l] |= values[i] != values[i] ? 1u : 0u;
    }
    float top = best[0];
    uint32_t any = 0;
    for (int l = 0; l < kLanes; ++l) {
        top = best[l] > top ? best[l] : top;
        any |= unordered[l];
    }
    if (any) {
        for (i = 0; values[i] == values[i]; ++i) {
        }
        return i;
    }
    for (i = 0; values[i] != top; ++i) {
    }
    return i;
}
