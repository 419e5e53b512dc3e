// Owns the workspace of the distance transform along a row.
#pragma once

#include <cstdint>
#include <vector>

#include "echoseg/detail/distance.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {

class OwnedSiteRow {
   public:
    // For rows of up to size.width pixels.
    OwnedSiteRow(ImageSize size, Spacing spacing)
        : sites_(static_cast<size_t>(size.width + simd::kSiteBlock)),
          squares_(sites_.size()),
          nearest_(static_cast<size_t>(size.width + 1)),
          row_{detail::has_whole_squares(size, spacing),
               spacing.y / spacing.x,
               spacing.x,
               sites_.data(),
               squares_.data(),
               nearest_.data()} {}
    OwnedSiteRow(const OwnedSiteRow&) = delete;
    OwnedSiteRow& operator=(const OwnedSiteRow&) = delete;

    const simd::SiteRow& get() const { return row_; }

   private:
    std::vector<double> sites_, squares_;  // hold int32 or double
    std::vector<int64_t> nearest_;
    simd::SiteRow row_;
};

}  // namespace echoseg
