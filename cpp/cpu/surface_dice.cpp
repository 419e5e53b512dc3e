// The normalised surface Dice of two masks (Nikolov et al. 2021) on the grid of their pixels' corners
// (detail/contour.hpp).
//
// Contours are found in bit images, 64 corners at a time. The first pass of the distance transform (border.hpp) gives
// the rows from each corner to the other contour in its column. A corner is near the other contour if one of the columns
// beside it, as many as the tolerance reaches, has few enough rows for its distance.
#include <cstdint>
#include <limits>
#include <vector>

#include "border.hpp"
#include "echoseg/detail/contour.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/parallel.hpp"

namespace echoseg {
namespace {

struct Contour {
    MaskBits mask;
    Border border;  // on the grid of corners
};

// The largest number of rows within the tolerance, for each column from the farthest on the left to the farthest on the
// right.
class Reach {
   public:
    Reach(ImageSize grid, const detail::Tolerance& tolerance)
        : columns_(tolerance.columns_at(0, grid.width)), rows_(static_cast<size_t>(2 * columns_ + 1)) {
        int64_t rows = grid.height;
        for (int64_t c = 0; c <= columns_; ++c) {
            rows = tolerance.rows_at(c, rows);
            rows_[columns_ - c] = rows_[columns_ + c] = static_cast<float>(rows);
        }
    }

    // Whether a site is near column x of a row of `count` columns, given their rows to the nearest site.
    bool includes(const float* row, int64_t count, int64_t x) const {
        const int64_t first = std::max<int64_t>(x - columns_, 0), end = std::min(x + columns_ + 1, count);
        const float *rows = row + first, *largest = rows_.data() + (columns_ + first - x);
        int near = 0;
        for (int64_t i = 0; i < end - first; ++i) near |= rows[i] <= largest[i];
        return near != 0;
    }

   private:
    int64_t columns_;
    std::vector<float> rows_;
};

class SurfaceDice {
   public:
    SurfaceDice(ImageSize size, Spacing spacing, double tolerance)
        : grid_(detail::corner_grid(size)),
          pitch_(words_for(grid_.width)),
          spacing_(spacing),
          reach_(grid_, {tolerance, spacing}),
          rows_(grid_),
          contours_{{{size, pitch_}, {}}, {{size, pitch_}, {}}} {
        for (Contour& contour : contours_) contour.border.bits.resize(static_cast<size_t>(grid_.height * pitch_));
    }

    double measure(const uint8_t* predicted, const uint8_t* true_mask) {
        const bool any[2] = {find_contour(predicted, contours_[0]), find_contour(true_mask, contours_[1])};
        if (!any[0] || !any[1]) return any[0] || any[1] ? 0.0 : std::numeric_limits<double>::quiet_NaN();
        detail::ContourLength all, near;
        add_lengths(contours_[0], contours_[1].border, all, near);
        add_lengths(contours_[1], contours_[0].border, all, near);
        return near.in(spacing_) / all.in(spacing_);
    }

   private:
    // The corners of word i of row y of the grid, between rows y - 1 and y of the mask.
    detail::Corners<uint64_t> corners_at(const MaskBits& mask, int64_t y, int64_t i) const {
        const uint64_t *above = mask.row(y - 1) + i, *below = mask.row(y) + i;
        return detail::corners_between(*above << 1 | (i > 0 ? above[-1] >> 63 : 0), *above,
                                       *below << 1 | (i > 0 ? below[-1] >> 63 : 0), *below);
    }

    // Returns false if the mask is empty.
    bool find_contour(const uint8_t* mask, Contour& contour) const {
        if (!contour.mask.read(mask)) return false;
        Border& border = contour.border;
        border.rows = {contour.mask.rows().first, contour.mask.rows().end + 1};
        border.columns = {grid_.width, 0};
        for (int64_t i = 0; i < pitch_; ++i) {
            uint64_t any = 0;
            for (int64_t y = border.rows.first; y < border.rows.end; ++y)
                any |= border.bits[y * pitch_ + i] = corners_at(contour.mask, y, i).all();
            border.add_columns(i, any);
        }
        return true;
    }

    // Adds the length of a contour, and of its part near another one.
    void add_lengths(const Contour& contour, const Border& other, detail::ContourLength& all,
                     detail::ContourLength& near) {
        const Border& border = contour.border;
        rows_.find(border, other);
        const RowRange columns = rows_.columns();
        for (int64_t y = border.rows.first; y < border.rows.end; ++y)
            for (int64_t i = 0; i < pitch_; ++i) {
                uint64_t word = border.bits[y * pitch_ + i];
                if (word == 0) continue;
                const auto corners = corners_at(contour.mask, y, i);
                for (; word != 0; word &= word - 1) {
                    const int bit = lowest_bit(word);
                    all.add(corners, bit);
                    if (reach_.includes(rows_.row(y), columns.count(), 64 * i + bit - columns.first))
                        near.add(corners, bit);
                }
            }
    }

    ImageSize grid_;
    int64_t pitch_;
    Spacing spacing_;
    Reach reach_;
    RowsToBorder rows_;
    Contour contours_[2];
};

}  // namespace

void normalized_surface_dice(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                             Spacing spacing, double tolerance, double* nsd, int threads) {
    parallel_for(count, 2000 + size.pixels() / 4, threads, [&](int64_t begin, int64_t end) {
        SurfaceDice dice(size, spacing, tolerance);
        for (int64_t i = begin; i < end; ++i)
            nsd[i] = dice.measure(predicted + i * size.pixels(), true_masks + i * size.pixels());
    });
}

}  // namespace echoseg
