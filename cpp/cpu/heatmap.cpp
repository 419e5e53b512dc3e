// Heatmaps are separable: exp(-(x^2 + y^2)) is a product of one factor a column and one a row, so a plane costs one table along
// each axis and a multiplication a pixel. Only the window in which a value can be other than zero is looked at.
#include "echoseg/heatmap.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "draw.hpp"
#include "echoseg/parallel.hpp"
#include "simd/rows.hpp"

namespace echoseg {

HeatmapDrawer::HeatmapDrawer(ImageSize size, const HeatmapStyle& style, bool stream)
    : size_(size),
      style_(style),
      stream_(stream),
      scale_(1.0f / (2.0f * style.sigma * style.sigma)),
      reach_(style.radius),
      factor_x_(static_cast<size_t>(size.width)),
      square_x_(static_cast<size_t>(size.width)),
      factor_y_(static_cast<size_t>(size.height)),
      square_y_(static_cast<size_t>(size.height)) {
    // exp_minus is zero from 43.5 on: sqrt(2 * 43.5) = 9.33 sigma.
    if (style.kind == HeatmapKind::gaussian) reach_ = std::min(reach_, 9.4f * style.sigma);
}

void HeatmapDrawer::draw(const float* landmark, const uint64_t* band, int64_t pitch, RowRange rows, float* plane) {
    const simd::Rows& simd = simd::rows();
    const auto clear = [&](int64_t first, int64_t end) {
        const int64_t bytes = (end - first) * size_.width * static_cast<int64_t>(sizeof *plane);
        if (stream_) {
            simd.stream_zeros(plane + first * size_.width, bytes);
        } else {
            std::memset(plane + first * size_.width, 0, static_cast<size_t>(bytes));
        }
    };
    // One pixel more than the reach, so that the rounding of these bounds decides nothing.
    const auto bounds = [this](float center, int64_t limit) {
        const float low = std::floor(center - reach_) - 1.0f, high = std::ceil(center + reach_) + 2.0f;
        const auto most = static_cast<float>(limit);
        return RowRange{static_cast<int64_t>(std::min(std::max(low, 0.0f), most)),
                        static_cast<int64_t>(std::min(std::max(high, 0.0f), most))};
    };
    RowRange columns = bounds(landmark[0], size_.width);
    RowRange lines = bounds(landmark[1], size_.height);
    if (band) lines = {std::max(lines.first, rows.first), std::min(lines.end, rows.end)};
    if (columns.count() <= 0 || lines.count() <= 0) return clear(0, size_.height);

    // Whole rows where the window is wide, so that nothing is written twice; else whole blocks into zeros.
    const bool whole_rows = !band && 2 * columns.count() > size_.width;
    if (whole_rows) {
        columns = {0, size_.width};
        clear(0, lines.first);
        clear(lines.end, size_.height);
    } else {
        columns.first -= columns.first % simd::kBlock;
        columns.end = std::min(columns.end + (simd::kBlock - columns.end % simd::kBlock) % simd::kBlock, size_.width);
        clear(0, size_.height);
    }

    const bool gaussian = style_.kind == HeatmapKind::gaussian;
    if (gaussian) {
        simd.gaussian_table(landmark[0], scale_, columns.first, columns.end, factor_x_.data(), square_x_.data());
        simd.gaussian_table(landmark[1], scale_, lines.first, lines.end, factor_y_.data(), square_y_.data());
    } else {
        simd.square_table(landmark[0], columns.first, columns.end, square_x_.data());
        simd.square_table(landmark[1], lines.first, lines.end, square_y_.data());
    }
    const simd::HeatmapWindow window{columns.first,
                                     columns.end,
                                     lines.first,
                                     lines.end,
                                     factor_x_.data(),
                                     factor_y_.data(),
                                     square_x_.data(),
                                     square_y_.data(),
                                     style_.radius,
                                     band ? band + (lines.first - rows.first) * pitch : nullptr,
                                     pitch,
                                     plane,
                                     size_.width};
    (gaussian ? simd.gaussian_window : simd.euclidean_window)(window);
}

void render_heatmaps(const float* landmarks, int64_t count, int64_t per_image, ImageSize size, const HeatmapStyle& style,
                     const uint8_t* band, float* heatmaps, int threads) {
    const int64_t pitch = words_for(size.width);
    const bool stream = exceeds_cache(count * per_image * size.pixels() * static_cast<int64_t>(sizeof *heatmaps));
    parallel_for(count, per_image * (150 + size.pixels() / 28), threads, [&](int64_t begin, int64_t end) {
        HeatmapDrawer drawer(size, style, stream);
        std::vector<uint64_t> words(band ? static_cast<size_t>(size.height * pitch) : 0);
        for (int64_t i = begin; i < end; ++i) {
            if (band) simd::rows().pack(band + i * size.pixels(), size.height, pitch, size.width, words.data());
            for (int64_t k = i * per_image; k < (i + 1) * per_image; ++k)
                drawer.draw(landmarks + 2 * k, band ? words.data() : nullptr, pitch, {0, size.height},
                            heatmaps + k * size.pixels());
        }
    });
}

}  // namespace echoseg
