// The exact Euclidean distance transform in two passes (Felzenszwalb and Huttenlocher 2012; Meijster et al. 2000). The
// first pass runs down and up the columns, whole rows of pixels at a time, and counts the rows to the nearest zero.
// Along a row, the squared distance of pixel x is then the minimum over the columns c of (rows at c)^2 + (x - c)^2.
//
// The usual second pass builds the lower envelope of these parabolas pixel by pixel, with a division and an
// unpredictable branch each. This one uses that the nearest site (detail/distance.hpp) moves to the right as the pixel
// does, so the site of a pixel is between those of its neighbours on either side. The middle pixel searches all sites,
// the middles of both halves search the sites on their side of its site, and so on until eight pixels remain between
// two known ones, which then search the few sites between together. Every step is a plain loop over adjacent sites. A
// row of n pixels costs at most n log n.
//
// A zero is nearer than anything beyond it, so a run of ones depends only on itself and the zeros at its ends; short
// gaps between runs are included. Pixels without ones nearby, such as most of a mask's background, cost only the first
// pass.
#include "echoseg/distance.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "bits.hpp"
#include "draw.hpp"
#include "echoseg/parallel.hpp"
#include "site_row.hpp"

namespace echoseg {
namespace {

constexpr int64_t kStrip = 1024;  // columns of a large image that are processed together
constexpr int64_t kShortGap = 8;

class Transformer {
   public:
    Transformer(ImageSize size, Spacing spacing)
        : size_(size), bits_(static_cast<size_t>(words_for(size.width))), row_(size, spacing) {}

    // The second pass, in place, for a range of rows.
    void finish_rows(const uint8_t* mask, RowRange rows, float* out) {
        const simd::RowKernels& kernels = simd::row_kernels();
        for (int64_t y = rows.first; y < rows.end; ++y) {
            kernels.pack(mask + y * size_.width, 1, words_for(size_.width), size_.width, bits_.data());
            int64_t first = next(0, true);
            while (first < size_.width) {
                int64_t end = next(first, false), after = next(end, true);
                while (after < size_.width && after - end < kShortGap) {
                    end = next(after, false);
                    after = next(end, true);
                }
                const int64_t from = std::max<int64_t>(first - 1, 0), to = std::min(end + 1, size_.width);
                kernels.row_distances(row_.get(), out + y * size_.width + from, to - from);
                first = after;
            }
        }
    }

   private:
    int64_t next(int64_t from, bool value) const { return find_bit(bits_.data(), size_.width, from, value); }

    ImageSize size_;
    std::vector<uint64_t> bits_;
    OwnedSiteRow row_;
};

// Whether the image has a zero, from the result of the first pass. Without one, all distances are infinite already.
bool has_zero(const float* out, ImageSize size) {
    return std::any_of(out, out + size.width, [](float rows) { return std::isfinite(rows); });
}

// Shares the work on one image between the threads.
void transform_large(const uint8_t* mask, ImageSize size, Spacing spacing, float* out, int threads) {
    const int64_t strips = (size.width + kStrip - 1) / kStrip;
    parallel_for(strips, size.height * kStrip / 2, threads, [&](int64_t begin, int64_t end) {
        for (int64_t x = begin * kStrip; x < std::min(end * kStrip, size.width); x += kStrip)
            simd::row_kernels().column_distances(mask + x, size.width, size.height, std::min(kStrip, size.width - x),
                                                 out + x, size.width);
    });
    if (!has_zero(out, size)) return;
    parallel_for(size.height, size.width * 3, threads,
                 [&](int64_t begin, int64_t end) { Transformer(size, spacing).finish_rows(mask, {begin, end}, out); });
}

}  // namespace

void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out, int threads) {
    const int64_t pixels = size.pixels();
    if (count < 4 * (threads > 0 ? threads : default_threads())) {
        for (int64_t i = 0; i < count; ++i)
            transform_large(masks + i * pixels, size, spacing, out + i * pixels, threads);
        return;
    }
    parallel_for(count, 500 + pixels, threads, [&](int64_t begin, int64_t end) {
        Transformer transformer(size, spacing);
        for (int64_t i = begin; i < end; ++i) {
            const uint8_t* mask = masks + i * pixels;
            float* image = out + i * pixels;
            simd::row_kernels().column_distances(mask, size.width, size.height, size.width, image, size.width);
            if (has_zero(image, size)) transformer.finish_rows(mask, {0, size.height}, image);
        }
    });
}

}  // namespace echoseg
