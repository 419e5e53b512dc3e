// The distance transform's inner loops, explained in cpu/distance.cpp. Included after row_kernels.inl.

void column_distances(const uint8_t* mask, int64_t mask_stride, int64_t rows, int64_t columns, float* distances,
                      int64_t stride) {
    for (int64_t x = 0; x < columns; ++x) distances[x] = mask[x] ? HUGE_VALF : 0.0f;
    for (int64_t y = 1; y < rows; ++y) {
        const uint8_t* __restrict bytes = mask + y * mask_stride;
        const float* __restrict above = distances + (y - 1) * stride;
        float* __restrict row = distances + y * stride;
        for (int64_t x = 0; x < columns; ++x) {
            const float next = above[x] + 1.0f;
            row[x] = bytes[x] ? next : 0.0f;
        }
    }
    for (int64_t y = rows - 2; y >= 0; --y) {
        const float* __restrict below = distances + (y + 1) * stride;
        float* __restrict row = distances + y * stride;
        for (int64_t x = 0; x < columns; ++x) {
            const float next = below[x] + 1.0f;
            row[x] = next < row[x] ? next : row[x];
        }
    }
}

// Squares are int32 or double. Columns have the same type, so that vectors of both have the same number of lanes.

inline void site_squares(const float* __restrict rows, int64_t count, double, int32_t* __restrict sites) {
    for (int64_t x = 0; x < count; ++x) sites[x] = detail::whole_site_square(rows[x]);
    for (int64_t x = count; x < count + simd::kSiteBlock; ++x) sites[x] = detail::kNoSite;
}

inline void site_squares(const float* __restrict rows, int64_t count, double ratio, double* __restrict sites) {
    for (int64_t x = 0; x < count; ++x) sites[x] = detail::scaled_site_square(rows[x], ratio);
    for (int64_t x = count; x < count + simd::kSiteBlock; ++x) sites[x] = HUGE_VAL;
}

// The first of the nearest sites to column x between `first` and `last`. The sites that follow `last` in its block are
// searched too; the caller must ensure that none of them is nearer.
template <typename Square>
inline int64_t nearest_site(const Square* sites, int64_t x, int64_t first, int64_t last) {
    constexpr int kLanes = simd::kSiteBlock;
    constexpr Square kNowhere = 1 << 30, kStep = kLanes;
    Square place[kLanes], away[kLanes], at[kLanes], least[kLanes];
    ECHOSEG_SHORT_LOOP
    for (int l = 0; l < kLanes; ++l) {
        at[l] = place[l] = static_cast<Square>(static_cast<int32_t>(first) + l);
        away[l] = static_cast<Square>(static_cast<int32_t>(x)) - place[l];
        least[l] = sites[first + l] + away[l] * away[l];
    }
    for (int64_t c = first + kLanes; c <= last; c += kLanes) {
        ECHOSEG_SHORT_LOOP
        for (int l = 0; l < kLanes; ++l) {
            away[l] -= kStep;
            place[l] += kStep;
            const Square here = sites[c + l] + away[l] * away[l];
            const bool nearer = here < least[l];
            at[l] = nearer ? place[l] : at[l];
            least[l] = nearer ? here : least[l];
        }
    }
    Square best = least[0], found = kNowhere;
    ECHOSEG_SHORT_LOOP
    for (int l = 0; l < kLanes; ++l) best = least[l] < best ? least[l] : best;
    ECHOSEG_SHORT_LOOP
    for (int l = 0; l < kLanes; ++l) {
        const Square here = least[l] == best ? at[l] : kNowhere;
        found = here < found ? here : found;
    }
    return static_cast<int64_t>(found);
}

// Sets nearest[i], for i from 1 to n, to the site nearest to column(i). Columns must ascend. nearest[0] = 0 is a lower
// bound.
template <typename Square, typename Column>
inline void nearest_sites(const Square* sites, int64_t count, int64_t n, const Column& column, int64_t* nearest) {
    int64_t step = 1;
    while (2 * step <= n) step *= 2;
    nearest[0] = 0;
    for (; step >= 1; step /= 2)
        for (int64_t i = step; i <= n; i += 2 * step) {
            const int64_t last = i + step <= n ? nearest[i + step] : count - 1;
            nearest[i] = nearest_site(sites, column(i), nearest[i - step], last);
        }
}

// The squares of kSiteBlock pixels from column x on, whose nearest sites are between `first` and `last`. Four sites per
// iteration, including up to three after `last`, since GCC keeps `least` in memory between iterations.
template <typename Square>
inline void block_squares(const Square* sites, int64_t x, int64_t first, int64_t last, Square* out) {
    constexpr int kLanes = simd::kSiteBlock;
    constexpr Square kLane[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7};
    Square least[kLanes];
    const auto nearest_of_four = [&](int64_t c, int l) {
        const Square a = static_cast<Square>(static_cast<int32_t>(x - c)) + kLane[l], b = a - 1, d = a - 2, e = a - 3;
        const Square at_a = sites[c] + a * a, at_b = sites[c + 1] + b * b;
        const Square at_d = sites[c + 2] + d * d, at_e = sites[c + 3] + e * e;
        const Square early = at_a < at_b ? at_a : at_b, late = at_d < at_e ? at_d : at_e;
        return early < late ? early : late;
    };
    ECHOSEG_SHORT_LOOP
    for (int l = 0; l < kLanes; ++l) least[l] = nearest_of_four(first, l);
    for (int64_t c = first + 4; c <= last; c += 4) {
        ECHOSEG_SHORT_LOOP
        for (int l = 0; l < kLanes; ++l) {
            const Square here = nearest_of_four(c, l);
            least[l] = here < least[l] ? here : least[l];
        }
    }
    memcpy(out, least, sizeof least);
}

template <typename Square>
inline void run_distances(const simd::SiteRow& w, float* run, int64_t count, Square* sites, Square* squares) {
    site_squares(run, count, w.ratio, sites);
    const int64_t blocks = (count + simd::kSiteBlock - 1) / simd::kSiteBlock;
    nearest_sites(sites, count, blocks - 1, [](int64_t i) { return i * simd::kSiteBlock; }, w.nearest);
    for (int64_t b = 0; b < blocks; ++b) {
        const int64_t last = b + 1 < blocks ? w.nearest[b + 1] : count - 1;
        block_squares(sites, b * simd::kSiteBlock, w.nearest[b], last, squares + b * simd::kSiteBlock);
    }
    const double spacing_x = w.spacing_x;
    for (int64_t x = 0; x < count; ++x)
        run[x] = static_cast<float>(detail::distance_of(static_cast<double>(squares[x]), spacing_x));
}

void row_distances(const simd::SiteRow& w, float* run, int64_t count) {
    if (w.whole) {
        run_distances(w, run, count, static_cast<int32_t*>(w.sites), static_cast<int32_t*>(w.squares));
    } else {
        run_distances(w, run, count, static_cast<double*>(w.sites), static_cast<double*>(w.squares));
    }
}

template <typename Square>
inline void distances_at_columns(const simd::SiteRow& w, const float* row, int64_t count, const int32_t* columns,
                                 int64_t n, Square* sites, double* distances) {
    site_squares(row, count, w.ratio, sites);
    nearest_sites(sites, count, n, [columns](int64_t i) { return static_cast<int64_t>(columns[i - 1]); }, w.nearest);
    for (int64_t i = 0; i < n; ++i) {
        const int64_t site = w.nearest[i + 1];
        const Square away = static_cast<Square>(columns[i] - static_cast<int32_t>(site));
        distances[i] = detail::distance_of(static_cast<double>(sites[site] + away * away), w.spacing_x);
    }
}

void distances_at(const simd::SiteRow& w, const float* row, int64_t count, const int32_t* columns, int64_t n,
                  double* distances) {
    if (w.whole) {
        distances_at_columns(w, row, count, columns, n, static_cast<int32_t*>(w.sites), distances);
    } else {
        distances_at_columns(w, row, count, columns, n, static_cast<double*>(w.sites), distances);
    }
}
