// What HD95, ASSD and the normalised surface Dice share: borders of masks as bit images, and the first pass of the
// distance transform (distance.cpp), limited to the bounding box of two borders.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bits.hpp"
#include "draw.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {

// The pixels of a grid that a border consists of, and the bounding box of their mask in the grid.
struct Border {
    std::vector<uint64_t> bits;
    RowRange rows, columns;

    // Extends the box by the set bits of word `i` of a row.
    void add_columns(int64_t i, uint64_t word) {
        if (word == 0) return;
        columns.first = std::min(columns.first, 64 * i + lowest_bit(word));
        columns.end = 64 * i + highest_bit(word) + 1;
    }
};

// A mask as a bit image with a row of zeros above and below it.
class MaskBits {
   public:
    // pitch: words per row.
    MaskBits(ImageSize size, int64_t pitch)
        : size_(size), pitch_(pitch), words_(static_cast<size_t>((size.height + 2) * pitch)) {}

    // Returns false if the mask is empty.
    bool read(const uint8_t* mask) {
        uint64_t* image = words_.data() + pitch_;
        simd::row_kernels().pack(mask, size_.height, pitch_, size_.width, image);
        int64_t low = 0, high = size_.height * pitch_;
        while (low < high && image[low] == 0) ++low;
        if (low == high) return false;
        while (image[high - 1] == 0) --high;
        rows_ = {low / pitch_, (high - 1) / pitch_ + 1};
        return true;
    }

    // Words of a row from -1 to the height.
    const uint64_t* row(int64_t y) const { return words_.data() + (y + 1) * pitch_; }
    int64_t pitch() const { return pitch_; }
    RowRange rows() const { return rows_; }  // of the foreground

   private:
    ImageSize size_;
    int64_t pitch_;
    std::vector<uint64_t> words_;
    RowRange rows_;
};

// The number of rows from each pixel to the nearest pixel of a border in its column, in the bounding box of two borders.
class RowsToBorder {
   public:
    explicit RowsToBorder(ImageSize grid)
        : grid_(grid),
          pitch_(words_for(grid.width)),
          outside_(static_cast<size_t>(grid.height * pitch_)),
          bytes_(static_cast<size_t>(grid.pixels())),
          distances_(static_cast<size_t>(grid.pixels())) {}

    void find(const Border& from, const Border& to) {
        const simd::RowKernels& kernels = simd::row_kernels();
        rows_ = {std::min(from.rows.first, to.rows.first), std::max(from.rows.end, to.rows.end)};
        columns_ = {std::min(from.columns.first, to.columns.first), std::max(from.columns.end, to.columns.end)};
        std::fill_n(outside_.begin(), rows_.count() * pitch_, ~static_cast<uint64_t>(0));
        for (int64_t i = to.rows.first * pitch_; i < to.rows.end * pitch_; ++i)
            outside_[i - rows_.first * pitch_] = ~to.bits[i];
        kernels.expand(outside_.data(), rows_.count(), pitch_, grid_.width, bytes_.data(),
                       bytes_.data() + bytes_.size());
        kernels.column_distances(bytes_.data() + columns_.first, grid_.width, rows_.count(), columns_.count(),
                                 distances_.data(), columns_.count());
    }

    RowRange columns() const { return columns_; }
    // Row y of the grid, from the first column of the box on.
    const float* row(int64_t y) const { return distances_.data() + (y - rows_.first) * columns_.count(); }

   private:
    ImageSize grid_;
    int64_t pitch_;
    std::vector<uint64_t> outside_;
    std::vector<uint8_t> bytes_;
    std::vector<float> distances_;
    RowRange rows_, columns_;
};

}  // namespace echoseg
