// Distances between the borders of two masks (HD95: Huttenlocher et al. 1993, ASSD: Heimann et al. 2009).
//
// Borders are found in bit images, 64 pixels at a time. The distances to a border are its distance transform
// (distance.cpp), limited to the bounding box of both masks (border.hpp) and, in the second pass, to the pixels of the
// other border. These are few per row, and their nearest sites are ordered as well.
#include <algorithm>
#include <limits>
#include <vector>

#include "border.hpp"
#include "echoseg/distance.hpp"
#include "echoseg/parallel.hpp"
#include "site_row.hpp"

namespace echoseg {
namespace {

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
          mask_(size, words_for(size.width)),
          rows_(size),
          queries_(static_cast<size_t>(size.width)),
          site_row_(size, spacing) {
        for (Border& border : borders_) border.bits.resize(static_cast<size_t>(size.height * mask_.pitch()));
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
        if (!mask_.read(mask)) return false;
        const int64_t pitch = mask_.pitch();
        border.rows = mask_.rows();
        border.columns = {size_.width, 0};
        for (int64_t i = 0; i < pitch; ++i) {
            uint64_t any = 0;
            for (int64_t y = border.rows.first; y < border.rows.end; ++y) {
                const uint64_t* row = mask_.row(y);
                const uint64_t here = row[i];
                const uint64_t left = here << 1 | (i > 0 ? row[i - 1] >> 63 : 0);
                const uint64_t right = here >> 1 | (i + 1 < pitch ? row[i + 1] << 63 : 0);
                border.bits[y * pitch + i] = here & ~(left & right & row[i - pitch] & row[i + pitch]);
                any |= here;
            }
            border.add_columns(i, any);
        }
        return true;
    }

    // The distance of each pixel of one border to the other border.
    void find_distances(const Border& from, const Border& to, std::vector<double>& distances) {
        const simd::RowKernels& kernels = simd::row_kernels();
        rows_.find(from, to);
        const RowRange columns = rows_.columns();
        distances.clear();
        for (int64_t y = from.rows.first; y < from.rows.end; ++y) {
            const uint64_t* row = from.bits.data() + y * mask_.pitch();
            int64_t n = 0;
            for (int64_t i = 0; i < mask_.pitch(); ++i)
                for (uint64_t word = row[i]; word != 0; word &= word - 1)
                    queries_[n++] = static_cast<int32_t>(64 * i + lowest_bit(word) - columns.first);
            const size_t before = distances.size();
            distances.resize(before + static_cast<size_t>(n));
            kernels.distances_at(site_row_.get(), rows_.row(y), columns.count(), queries_.data(), n,
                                 distances.data() + before);
        }
    }

    ImageSize size_;
    MaskBits mask_;
    RowsToBorder rows_;
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
