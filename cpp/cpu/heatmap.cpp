// Heatmaps are separable: exp(-(x^2 + y^2)) is a product of one factor a column and one a row, so a plane costs one table along
// each axis and a multiplication a pixel. Only the window in which a value can be other than zero is looked at; the rest is
// zeroed or, where the caller knows what the plane holds, not even touched.
//
// Planes that stay in the caches are drawn in place. Where they leave them, each is written once from its first byte to its last
// by streaming stores, which need not read what they overwrite: zeros, then the window's rows from a small buffer, then zeros.
// The same small buffer serves types narrower than float32: the loops over pixels know float32 alone.
#include "echoseg/heatmap.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "draw.hpp"
#include "echoseg/parallel.hpp"
#include "simd/rows.hpp"

namespace echoseg {
namespace {

constexpr int64_t kLine = 64;           // bytes of a cache line
constexpr int64_t kBufferPixels = 4096;  // 16 KiB: half of a first-level cache

int64_t whole_blocks(int64_t columns) { return (columns + simd::kBlock - 1) / simd::kBlock * simd::kBlock; }

}  // namespace

HeatmapDrawer::HeatmapDrawer(ImageSize size, const HeatmapStyle& style, bool stream)
    : size_(size),
      style_(style),
      stream_(stream),
      item_(bytes_of(style.type)),
      row_(size.width * item_),
      buffer_rows_(std::min(std::max<int64_t>(kBufferPixels / size.width, 1), size.height)),
      scale_(1.0f / (2.0f * style.sigma * style.sigma)),
      reach_(style.radius),
      factor_x_(static_cast<size_t>(size.width + simd::kBlock)),
      square_x_(static_cast<size_t>(size.width + simd::kBlock)),
      factor_y_(static_cast<size_t>(size.height + simd::kBlock)),
      square_y_(static_cast<size_t>(size.height + simd::kBlock)) {
    // exp_minus is zero from 43.5 on: sqrt(2 * 43.5) = 9.33 sigma.
    if (style.kind == HeatmapKind::gaussian) reach_ = std::min(reach_, 9.4f * style.sigma);
    const auto pixels = static_cast<size_t>(buffer_rows_ * size.width);
    if (style.type != HeatmapType::float32) values_.resize(pixels);
    if (stream) bytes_.resize(pixels * static_cast<size_t>(item_) + 2 * kLine);
}

// The rows and columns that a heatmap may touch; empty where there are none. A little more than the reach, so that the rounding
// of these bounds decides nothing.
HeatmapDrawer::Window HeatmapDrawer::reached(const float* landmark) const {
    const auto bounds = [this](float center, int64_t limit) {
        const auto clamped = [limit](double value) {
            return static_cast<int64_t>(std::min(std::max(value, 0.0), static_cast<double>(limit)));
        };
        const double middle = static_cast<double>(center), reach = static_cast<double>(reach_) * 1.000001 + 0.001;
        return RowRange{clamped(middle - reach + 1.0), clamped(middle + reach + 1.0)};
    };
    return {bounds(landmark[0], size_.width), bounds(landmark[1], size_.height), nullptr, 0};
}

void HeatmapDrawer::make_tables(const float* landmark, const Window& w) {
    const simd::Rows& simd = simd::rows();
    const int64_t columns = whole_blocks(w.columns.count()), rows = whole_blocks(w.rows.count());
    if (style_.kind == HeatmapKind::gaussian) {
        simd.gaussian_table(landmark[0], scale_, w.columns.first, columns, factor_x_.data(), square_x_.data());
        simd.gaussian_table(landmark[1], scale_, w.rows.first, rows, factor_y_.data(), square_y_.data());
    } else {
        simd.square_table(landmark[0], w.columns.first, columns, square_x_.data());
        simd.square_table(landmark[1], w.rows.first, rows, square_y_.data());
    }
}

void HeatmapDrawer::draw_rows(const Window& w, RowRange rows, float* out, int64_t out_pitch) const {
    const simd::Rows& simd = simd::rows();
    const simd::HeatmapWindow part{w.columns.first,
                                   w.columns.count(),
                                   rows.count(),
                                   factor_x_.data(),
                                   factor_y_.data() + rows.first,
                                   square_x_.data(),
                                   square_y_.data() + rows.first,
                                   style_.radius,
                                   w.band ? w.band + rows.first * w.pitch : nullptr,
                                   w.pitch,
                                   out,
                                   out_pitch};
    if (style_.kind == HeatmapKind::euclidean) {
        simd.euclidean_window(part);
    } else if (std::isinf(style_.radius)) {
        simd.gaussian_window(part);
    } else {
        simd.disc_window(part);
    }
}

void HeatmapDrawer::convert(const float* values, int64_t count, void* out) const {
    const simd::Rows& simd = simd::rows();
    switch (style_.type) {
        case HeatmapType::float32: break;
        case HeatmapType::bfloat16: simd.to_bfloat16(values, count, out); break;
        case HeatmapType::float16: simd.to_float16(values, count, out); break;
        case HeatmapType::uint8: simd.to_uint8(values, count, out); break;
    }
}

void HeatmapDrawer::clear(uint8_t* plane, RowRange rows) const {
    std::memset(plane + rows.first * row_, 0, static_cast<size_t>(rows.count() * row_));
}

// Draws into zeros, in place.
void HeatmapDrawer::write(const Window& w, uint8_t* plane) {
    uint8_t* out = plane + w.rows.first * row_ + w.columns.first * item_;
    if (style_.type == HeatmapType::float32) {
        draw_rows(w, {0, w.rows.count()}, reinterpret_cast<float*>(out), size_.width);
        return;
    }
    const int64_t columns = w.columns.count();
    for (int64_t y = 0; y < w.rows.count(); y += buffer_rows_) {
        const RowRange rows{y, std::min(y + buffer_rows_, w.rows.count())};
        if (w.band) std::fill_n(values_.begin(), rows.count() * columns, 0.0f);
        draw_rows(w, rows, values_.data(), columns);
        if (columns == size_.width) {
            convert(values_.data(), rows.count() * columns, out + y * row_);
        } else {
            for (int64_t i = y; i < rows.end; ++i) convert(values_.data() + (i - y) * columns, columns, out + i * row_);
        }
    }
}

// Writes the whole plane past the caches. What does not fill a cache line waits in front of the buffer for the rows that follow.
void HeatmapDrawer::stream(const Window& w, uint8_t* plane) {
    const simd::Rows& simd = simd::rows();
    const auto beyond_line = [](const uint8_t* at) { return static_cast<int64_t>(reinterpret_cast<uintptr_t>(at) % kLine); };
    uint8_t *out = plane + w.rows.first * row_, *end = plane + size_.height * row_;
    uint8_t* buffer = bytes_.data() + kLine;
    const bool narrow = style_.type != HeatmapType::float32;
    float* values = narrow ? values_.data() : reinterpret_cast<float*>(buffer);

    int64_t held = std::min<int64_t>(beyond_line(out), out - plane);
    std::memset(buffer - held, 0, static_cast<size_t>(held));
    simd.stream_zeros(plane, out - held - plane);
    for (int64_t y = 0; y < w.rows.count(); y += buffer_rows_) {
        const RowRange rows{y, std::min(y + buffer_rows_, w.rows.count())};
        const int64_t pixels = rows.count() * size_.width, bytes = pixels * item_;
        if (w.band || w.columns.count() < size_.width) std::fill_n(values, pixels, 0.0f);
        draw_rows(w, rows, values + w.columns.first, size_.width);
        if (narrow) convert(values, pixels, buffer);
        out += bytes;
        const int64_t all = held + bytes, rest = std::min(beyond_line(out), all);
        simd.stream_copy(buffer - held, all - rest, out - all);
        std::memmove(buffer - rest, buffer + bytes - rest, static_cast<size_t>(rest));
        held = rest;
    }
    const int64_t last = std::min(kLine - held, end - out);
    std::memset(buffer, 0, static_cast<size_t>(last));
    simd.stream_copy(buffer - held, held + last, out - held);
    simd.stream_zeros(out + last, end - out - last);
}

void HeatmapDrawer::draw(const float* landmark, const float* previous, const uint64_t* band, int64_t pitch, RowRange rows,
                         void* heatmap) {
    auto* plane = static_cast<uint8_t*>(heatmap);
    Window window = reached(landmark);
    if (band) {
        window.rows = {std::max(window.rows.first, rows.first), std::min(window.rows.end, rows.end)};
        window.band = band + (window.rows.first - rows.first) * pitch;
        window.pitch = pitch;
    }
    if (window.columns.count() <= 0 || window.rows.count() <= 0) window = {};
    // Whole rows where the window is wide, so that nothing is written twice; else whole blocks, which cross no word of the band.
    const bool wide = !previous && !band && 2 * window.columns.count() > size_.width;
    window.columns.first -= wide ? window.columns.first : window.columns.first % simd::kBlock;
    window.columns.end = wide ? size_.width : std::min(whole_blocks(window.columns.end), size_.width);
    make_tables(landmark, window);

    if (stream_ && !previous) return stream(window, plane);
    RowRange rest;
    if (previous) {
        const Window old = reached(previous);
        if (old.columns.count() > 0)
            simd::rows().clear_rows(plane + old.rows.first * row_ + old.columns.first * item_, old.columns.count() * item_,
                                    old.rows.count(), row_);
    } else if (wide) {
        clear(plane, {0, window.rows.first});
        clear(plane, {window.rows.end, size_.height});
    } else {
        clear(plane, {0, window.rows.end});  // the window's rows are in the first-level cache when they are drawn
        rest = {window.rows.end, size_.height};
    }
    if (window.rows.count() > 0) write(window, plane);
    clear(plane, rest);
}

void HeatmapDrawer::end() const {
    if (stream_) simd::rows().stream_end();
}

void render_heatmaps(const float* landmarks, const float* previous, int64_t count, int64_t per_image, ImageSize size,
                     const HeatmapStyle& style, const uint8_t* band, void* heatmaps, int threads) {
    if (per_image == 0) return;  // an array of nothing may have any number of images
    const int64_t pitch = words_for(size.width), plane = size.pixels() * bytes_of(style.type);
    const bool stream = exceeds_cache(count * per_image * plane);
    parallel_for(count, per_image * (150 + size.pixels() / 28), threads, [&](int64_t begin, int64_t end) {
        HeatmapDrawer drawer(size, style, stream);
        std::vector<uint64_t> words(band ? static_cast<size_t>(size.height * pitch) : 0);
        for (int64_t i = begin; i < end; ++i) {
            if (band) simd::rows().pack(band + i * size.pixels(), size.height, pitch, size.width, words.data());
            for (int64_t k = i * per_image; k < (i + 1) * per_image; ++k)
                drawer.draw(landmarks + 2 * k, previous ? previous + 2 * k : nullptr, band ? words.data() : nullptr, pitch,
                            {0, size.height}, static_cast<uint8_t*>(heatmaps) + k * plane);
        }
        drawer.end();
    });
}

}  // namespace echoseg
