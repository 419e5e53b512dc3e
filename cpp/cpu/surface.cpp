// Distances between the borders of two masks (HD95: Huttenlocher et al. 1993, ASSD: Heimann et al. 2009).
//
// Borders are found in bit images, 64 pixels at a time. The distances to a border are its distance transform
// (distance.cpp), limited to the bounding box of both masks and, in the second pass, to the pixels of the other border.
// These are few per row, and their nearest sites are ordered as well.
#include <algorithm>
#include <limits>
#include <vector>

#include "bits.hpp"
#include "draw.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/parallel.hpp"
#include "site_row.hpp"

namespace echoseg {
namespace {

struct Border {
    std::vector<uint64_t> bits;
    RowRange rows, columns;  // bounding box
};

// Reorders the values.
double percentile_95(std::vector<double>& values) {
    const detail::Rank rank = detail::rank_95(static_cast<int64_t>(values.size()));
    const auto low = values.begin() + rank.low;
    std::nth_element(values.begin(), low, values.end());
    if (low + 1 == values.end()) return *low;
    return detail::interpolate(*low, *std::min_element(low + 1, values.end()), rank);
}

// Sums blocks of values first, which keeps the rounding error of a sum of many thousand distances below 1e-12.
double sum(const std::vector<double>& values) {
    constexpr size_t kBlock = 128;
    double total = 0.0;
    for (size_t first = 0; first < values.size(); first += kBlock) {
        const size_t end = std::min(first + kBlock, values.size());
        double block = 0.0;
        for (size_t i = first; i < end; ++i) block += values[i];
        total += block;
    }
    return total;
}

class BorderDistances {
   public:
    BorderDistances(ImageSize size, Spacing spacing)
        : size_(size),
          pitch_(words_for(size.width)),
          image_(static_cast<size_t>((size.height + 2) * pitch_)),
          outside_(static_cast<size_t>(size.height * pitch_)),
          bytes_(static_cast<size_t>(size.pixels())),
          rows_(static_cast<size_t>(size.pixels())),
          queries_(static_cast<size_t>(size.width)),
          site_row_(size, spacing) {
        for (Border& border : borders_) border.bits.resize(outside_.size());
    }

    void measure(const uint8_t* predicted, const uint8_t* true_mask, double& hd95, double& assd) {
        const bool any[2] = {find_border(predicted, borders_[0]), find_border(true_mask, borders_[1])};
        if (!any[0] || !any[1]) {
            hd95 = assd = any[0] || any[1] ? std::numeric_limits<double>::infinity() : 0.0;
            return;
        }
        find_distances(borders_[0], borders_[1], distances_[0]);
        find_distances(borders_[1], borders_[0], distances_[1]);
        const auto pixels = static_cast<double>(distances_[0].size() + distances_[1].size());
        assd = (sum(distances_[0]) + sum(distances_[1])) / pixels;
        hd95 = std::max(percentile_95(distances_[0]), percentile_95(distances_[1]));
    }

   private:
    // Returns false if the mask is empty.
    bool find_border(const uint8_t* mask, Border& border) {
        uint64_t* image = image_.data() + pitch_;  // between two rows of zeros
        simd::row_kernels().pack(mask, size_.height, pitch_, size_.width, image);
        int64_t low = 0, high = size_.height * pitch_;
        while (low < high && image[low] == 0) ++low;
        if (low == high) return false;
        while (image[high - 1] == 0) --high;
        border.rows = {low / pitch_, (high - 1) / pitch_ + 1};
        border.columns = {size_.width, 0};
        for (int64_t i = 0; i < pitch_; ++i) {
            uint64_t any = 0;
            for (int64_t y = border.rows.first; y < border.rows.end; ++y) {
                const uint64_t* row = image + y * pitch_;
                const uint64_t here = row[i];
                const uint64_t left = here << 1 | (i > 0 ? row[i - 1] >> 63 : 0);
                const uint64_t right = here >> 1 | (i + 1 < pitch_ ? row[i + 1] << 63 : 0);
                border.bits[y * pitch_ + i] = here & ~(left & right & row[i - pitch_] & row[i + pitch_]);
                any |= here;
            }
            if (any == 0) continue;
            border.columns.first = std::min(border.columns.first, 64 * i + lowest_bit(any));
            border.columns.end = 64 * i + highest_bit(any) + 1;
        }
        return true;
    }

    // The distance of each pixel of one border to the other border.
    void find_distances(const Border& from, const Border& to, std::vector<double>& distances) {
        const simd::RowKernels& kernels = simd::row_kernels();
        const RowRange rows{std::min(from.rows.first, to.rows.first), std::max(from.rows.end, to.rows.end)};
        const RowRange columns{std::min(from.columns.first, to.columns.first),
                               std::max(from.columns.end, to.columns.end)};
        std::fill_n(outside_.begin(), rows.count() * pitch_, ~static_cast<uint64_t>(0));
        for (int64_t i = to.rows.first * pitch_; i < to.rows.end * pitch_; ++i)
            outside_[i - rows.first * pitch_] = ~to.bits[i];
        kernels.expand(outside_.data(), rows.count(), pitch_, size_.width, bytes_.data(),
                       bytes_.data() + bytes_.size());
        kernels.column_distances(bytes_.data() + columns.first, size_.width, rows.count(), columns.count(),
                                 rows_.data(), columns.count());
        distances.clear();
        for (int64_t y = from.rows.first; y < from.rows.end; ++y) {
            const uint64_t* row = from.bits.data() + y * pitch_;
            int64_t n = 0;
            for (int64_t i = 0; i < pitch_; ++i)
                for (uint64_t word = row[i]; word != 0; word &= word - 1)
                    queries_[n++] = static_cast<int32_t>(64 * i + lowest_bit(word) - columns.first);
            const size_t before = distances.size();
            distances.resize(before + static_cast<size_t>(n));
            kernels.distances_at(site_row_.get(), rows_.data() + (y - rows.first) * columns.count(), columns.count(),
                                 queries_.data(), n, distances.data() + before);
        }
    }

    ImageSize size_;
    int64_t pitch_;
    std::vector<uint64_t> image_, outside_;
    std::vector<uint8_t> bytes_;
    std::vector<float> rows_;
    std::vector<int32_t> queries_;
    OwnedSiteRow site_row_;
    Border borders_[2];
    std::vector<double> distances_[2];
};

}  // namespace

void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                       Spacing spacing, double* hd95, double* assd, int threads) {
    parallel_for(count, 2000 + size.pixels() / 4, threads, [&](int64_t begin, int64_t end) {
        BorderDistances distances(size, spacing);
        for (int64_t i = begin; i < end; ++i)
            distances.measure(predicted + i * size.pixels(), true_masks + i * size.pixels(), hd95[i], assd[i]);
    });
}

}  // namespace echoseg
