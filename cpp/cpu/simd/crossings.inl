// Rule "center": the crossings of a contour with rows, many at a time. Included after row_kernels.inl.
//
// Each lane holds one row of one edge, so that columns are computed in flat loops without branches. Most edges of a
// smooth contour span one to five rows, and a mispredicted branch costs more than an unused lane. An edge always writes
// kRowBlock lanes and keeps as many as it has rows; the next edge overwrites the others. Edges and lanes are padded to
// whole vectors.
constexpr int kEdgeBlock = 64, kRowBlock = 8, kCrossings = 256;

constexpr int padded(int n) { return (n + kRowBlock - 1) / kRowBlock * kRowBlock; }

// Up to kEdgeBlock edges. Edge i connects points i and i + 1; edges used as padding have length 0.
struct EdgePoints {
    float x[kEdgeBlock + 1], y[kEdgeBlock + 1];

    int load(const float* points, int64_t count, int64_t begin) {
        const int n = static_cast<int>(count - begin < kEdgeBlock ? count - begin : kEdgeBlock);
        const float* before = points + 2 * (begin == 0 ? count - 1 : begin - 1);
        const float* here = points + 2 * begin;
        x[0] = before[0];
        y[0] = before[1];
        for (int i = 0; i < n; ++i) {
            x[i + 1] = here[2 * i];
            y[i + 1] = here[2 * i + 1];
        }
        for (int i = n; i < padded(n); ++i) {
            x[i + 1] = x[n];
            y[i + 1] = y[n];
        }
        return n;
    }
};

// Flips, for each crossing, all pixels of its word from its column on; none if the column is right of the image.
inline void flip_words(const int32_t* column, const int32_t* row, int lanes, int32_t width, int64_t pitch,
                       uint64_t* words) {
    int32_t word[kCrossings + kRowBlock];
    uint64_t flip[kCrossings + kRowBlock];
    for (int i = 0; i < padded(lanes); ++i) word[i] = (column[i] < width ? column[i] : width - 1) >> 6;
    for (int i = 0; i < padded(lanes); ++i) {
        const uint64_t all = static_cast<uint64_t>(static_cast<int64_t>(column[i] < width ? -1 : 0));
        flip[i] = all << (column[i] & 63);
    }
    for (int i = 0; i < lanes; ++i) words[row[i] * pitch + word[i]] ^= flip[i];
}

struct Crossings {
    double x0[kEdgeBlock], y0[kEdgeBlock], x1[kEdgeBlock], y1[kEdgeBlock], slope[kEdgeBlock], start[kEdgeBlock];
    int32_t first[kEdgeBlock], end[kEdgeBlock];
    double estimate[kCrossings + kRowBlock];
    int32_t row[kCrossings + kRowBlock], owner[kCrossings + kRowBlock], column[kCrossings + kRowBlock];

    // Computes which rows of the image each edge crosses and where it crosses the first. Extends rows[0] … rows[1] by
    // these rows.
    void prepare(const EdgePoints& p, int n, int32_t height, int32_t rows[2]) {
        // One conditional per loop: the compiler turns several into a branch.
        const auto edge = [&p](int i) { return detail::make_edge(p.x[i], p.y[i], p.x[i + 1], p.y[i + 1]); };
        for (int i = 0; i < padded(n); ++i) x0[i] = edge(i).x0;
        for (int i = 0; i < padded(n); ++i) y0[i] = edge(i).y0;
        for (int i = 0; i < padded(n); ++i) x1[i] = edge(i).x1;
        for (int i = 0; i < padded(n); ++i) y1[i] = edge(i).y1;
        int32_t top = rows[0], bottom = rows[1];
        for (int i = 0; i < padded(n); ++i) {
            slope[i] = (x1[i] - x0[i]) / (y1[i] - y0[i]);
            first[i] = detail::ceil_clamped(y0[i], height);
            end[i] = detail::ceil_clamped(y1[i], height);
            start[i] = x0[i] + (static_cast<double>(first[i]) - y0[i]) * slope[i];
        }
        for (int i = 0; i < padded(n); ++i) {
            const bool none = first[i] >= end[i];
            const int32_t from = none ? height : first[i], to = none ? 0 : end[i];
            top = from < top ? from : top;
            bottom = to > bottom ? to : bottom;
        }
        rows[0] = top;
        rows[1] = bottom;
    }

    void put(int lane, int edge, int32_t first_row, double at, double step) {
        double* estimates = estimate + lane;
        int32_t *row_of = row + lane, *owners = owner + lane;
        ECHOSEG_SHORT_LOOP
        for (int l = 0; l < kRowBlock; ++l) estimates[l] = at + static_cast<double>(l) * step;
        ECHOSEG_SHORT_LOOP
        for (int l = 0; l < kRowBlock; ++l) row_of[l] = first_row + l;
        for (int l = 0; l < kRowBlock; ++l) owners[l] = edge;
    }

    void flush(int lanes, int32_t width, int64_t pitch, uint64_t* words) {
        put(lanes, 0, 0, 0.5, 0.0);
        int32_t any_unsure = 0;
        for (int i = 0; i < padded(lanes); ++i) {
            bool unsure;
            column[i] = detail::estimated_column(estimate[i], width, unsure);
            any_unsure |= static_cast<int32_t>(unsure);
        }
        if (any_unsure)
            for (int i = 0; i < lanes; ++i) {
                const int32_t e = owner[i];
                column[i] = detail::crossing_column({x0[e], y0[e], x1[e], y1[e]}, row[i], width);
            }
        flip_words(column, row, lanes, width, pitch, words);
    }
};

void cross_rows(const float* points, int64_t count, int32_t height, int32_t width, int64_t pitch, uint64_t* words,
                int32_t rows[2]) {
    EdgePoints p;
    Crossings c;
    for (int64_t begin = 0; begin < count; begin += kEdgeBlock) {
        const int n = p.load(points, count, begin);
        c.prepare(p, n, height, rows);
        int lanes = 0;
        for (int i = 0; i < n; ++i) {
            const int32_t first = c.first[i], span = c.end[i] - first;
            c.put(lanes, i, first, c.start[i], c.slope[i]);
            lanes += span < kRowBlock ? span : kRowBlock;
            for (int32_t done = kRowBlock; done < span; done += kRowBlock) {
                if (lanes > kCrossings - kRowBlock) {
                    c.flush(lanes, width, pitch, words);
                    lanes = 0;
                }
                c.put(lanes, i, first + done, c.start[i] + static_cast<double>(done) * c.slope[i], c.slope[i]);
                lanes += span - done < kRowBlock ? span - done : kRowBlock;
            }
            if (lanes > kCrossings - kRowBlock) {
                c.flush(lanes, width, pitch, words);
                lanes = 0;
            }
        }
        c.flush(lanes, width, pitch, words);
    }
}

void carry_fill(uint64_t* words, uint64_t* marks, int64_t rows, int64_t pitch, int64_t width) {
    // An odd number of crossings right of the image would set bits beyond the width; they are masked.
    const int64_t used = (width + 63) / 64;
    const uint64_t last = ~static_cast<uint64_t>(0) >> (64 * used - width);
    if (used == 2) {  // a common width; avoids mispredicted inner loops
        for (int64_t y = 0; y < rows; ++y) {
            uint64_t* row = words + y * pitch;
            row[1] = (row[1] ^ (static_cast<uint64_t>(0) - (row[0] >> 63))) & last;
        }
    } else {
        for (int64_t y = 0; y < rows; ++y) {
            uint64_t* row = words + y * pitch;
            uint64_t flip = 0;
            for (int64_t i = 0; i < used - 1; ++i) {
                row[i] ^= flip;
                flip = static_cast<uint64_t>(0) - (row[i] >> 63);
            }
            row[used - 1] = (row[used - 1] ^ flip) & last;
        }
    }
    if (!marks) return;
    ECHOSEG_INDEPENDENT
    for (int64_t i = 0; i < rows * pitch; ++i) {
        words[i] |= marks[i];
        marks[i] = 0;
    }
}

void expand_fill(uint64_t* words, uint64_t* marks, int64_t rows, int64_t pitch, int64_t width, uint8_t* bytes,
                 uint8_t* end) {
    const auto carried = [=](int64_t y) {
        return [row = words + y * pitch, flip = static_cast<uint64_t>(0)](int64_t i) mutable {
            const uint64_t crossed = row[i], pixels = crossed ^ flip;
            row[i] = 0;
            flip ^= static_cast<uint64_t>(0) - (crossed >> 63);
            return pixels;
        };
    };
    if (!marks) {
        write_rows(rows, width, bytes, end, carried);
        return;
    }
    write_rows(rows, width, bytes, end, [=](int64_t y) {
        return [pixels = carried(y), row = marks + y * pitch](int64_t i) mutable {
            const uint64_t marked = row[i];
            row[i] = 0;
            return pixels(i) | marked;
        };
    });
}
