// The working memory of distances along a row, owned.
#pragma once

#include <cstdint>
#include <vector>

#include "echoseg/detail/distance.hpp"
#include "simd/rows.hpp"

namespace echoseg {

class OwnSiteRow {
   public:
    // For rows of up to size.width pixels in images of this size.
    OwnSiteRow(ImageSize size, Spacing spacing)
        : sites_(static_cast<size_t>(size.width + simd::kSiteBlock)),
          squares_(sites_.size()),
          nearest_(static_cast<size_t>(size.width + 1)),
          row_{detail::whole_squares(size, spacing), spacing.y / spacing.x, spacing.x,
               sites_.data(), squares_.data(), nearest_.data()} {}
    OwnSiteRow(const OwnSiteRow&) = delete;
    OwnSiteRow& operator=(const OwnSiteRow&) = delete;

    const simd::SiteRow& get() const { return row_; }

   private:
    std::vector<double> sites_, squares_;  // also large enough for int32
    std::vector<int64_t> nearest_;
    simd::SiteRow row_;
};

}  // namespace echoseg
