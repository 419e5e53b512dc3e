// Gaussians are separable: exp(-(x^2 + y^2)) is the product of one factor per column and one per row. A plane costs one
// table along each axis and one multiplication per pixel. Only the window in which values can be non-zero is computed.
// The rest is set to zero or, if the previous landmark is given, left as it is.
//
// Planes that fit into the caches are drawn in place. Larger outputs are written from the first byte to the last by
// streaming stores, which do not read the memory that they overwrite: zeros, then the window's rows from a small
// buffer, then zeros. The same buffer holds rows for conversion to types narrower than float32.
#include "echoseg/heatmap.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "draw.hpp"
#include "echoseg/parallel.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {
namespace {

constexpr int64_t kLine = 64;            // bytes of a cache line
constexpr int64_t kBufferPixels = 4096;  // 16 KiB, half of a first-level cache

int64_t whole_blocks(int64_t columns) { return (columns + simd::kBlock - 1) / simd::kBlock * simd::kBlock; }

}  // namespace

HeatmapDrawer::HeatmapDrawer(ImageSize size, const HeatmapOptions& options, bool stream)
    : size_(size),
      options_(options),
      stream_(stream),
      value_bytes_(bytes_of(options.type)),
      row_bytes_(size.width * value_bytes_),
      buffer_rows_(std::min(std::max<int64_t>(kBufferPixels / size.width, 1), size.height)),
      scale_(1.0f / (2.0f * options.sigma * options.sigma)),
      reach_(options.radius),
      factor_x_(static_cast<size_t>(size.width + simd::kBlock)),
      square_x_(static_cast<size_t>(size.width + simd::kBlock)),
      factor_y_(static_cast<size_t>(size.height + simd::kBlock)),
      square_y_(static_cast<size_t>(size.height + simd::kBlock)) {
    // exp_minus(t) is 0 for t >= 43.5, which is at sqrt(2 * 43.5) = 9.33 sigma.
    if (options.kind == HeatmapKind::gaussian) reach_ = std::min(reach_, 9.4f * options.sigma);
    const auto pixels = static_cast<size_t>(buffer_rows_ * size.width);
    if (options.type != HeatmapType::float32) values_.resize(pixels);
    if (stream) bytes_.resize(pixels * static_cast<size_t>(value_bytes_) + 2 * kLine);
}

// The rows and columns in which a heatmap may be non-zero, possibly none. Slightly larger than the reach, so that
// rounding of these bounds has no effect.
HeatmapDrawer::Window HeatmapDrawer::window_of(const float* landmark) const {
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
    const simd::RowKernels& kernels = simd::row_kernels();
    const int64_t columns = whole_blocks(w.columns.count()), rows = whole_blocks(w.rows.count());
    if (options_.kind == HeatmapKind::gaussian) {
        kernels.gaussian_table(landmark[0], scale_, w.columns.first, columns, factor_x_.data(), square_x_.data());
        kernels.gaussian_table(landmark[1], scale_, w.rows.first, rows, factor_y_.data(), square_y_.data());
    } else {
        kernels.square_table(landmark[0], w.columns.first, columns, square_x_.data());
        kernels.square_table(landmark[1], w.rows.first, rows, square_y_.data());
    }
}

void HeatmapDrawer::draw_rows(const Window& w, RowRange rows, float* out, int64_t out_pitch) const {
    const simd::RowKernels& kernels = simd::row_kernels();
    const simd::HeatmapWindow part{w.columns.first,
                                   w.columns.count(),
                                   rows.count(),
                                   factor_x_.data(),
                                   factor_y_.data() + rows.first,
                                   square_x_.data(),
                                   square_y_.data() + rows.first,
                                   options_.radius,
                                   w.band ? w.band + rows.first * w.pitch : nullptr,
                                   w.pitch,
                                   out,
                                   out_pitch};
    if (options_.kind == HeatmapKind::euclidean) {
        kernels.euclidean_window(part);
    } else if (std::isinf(options_.radius)) {
        kernels.gaussian_window(part);
    } else {
        kernels.disc_window(part);
    }
}

void HeatmapDrawer::convert(const float* values, int64_t count, void* out) const {
    const simd::RowKernels& kernels = simd::row_kernels();
    switch (options_.type) {
        case HeatmapType::float32: break;
        case HeatmapType::bfloat16: kernels.to_bfloat16(values, count, out); break;
        case HeatmapType::float16: kernels.to_float16(values, count, out); break;
        case HeatmapType::uint8: kernels.to_uint8(values, count, out); break;
    }
}

void HeatmapDrawer::clear(uint8_t* plane, RowRange rows) const {
    std::memset(plane + rows.first * row_bytes_, 0, static_cast<size_t>(rows.count() * row_bytes_));
}

// Draws in place; the window must be zero.
void HeatmapDrawer::write(const Window& w, uint8_t* plane) {
    uint8_t* out = plane + w.rows.first * row_bytes_ + w.columns.first * value_bytes_;
    if (options_.type == HeatmapType::float32) {
        draw_rows(w, {0, w.rows.count()}, reinterpret_cast<float*>(out), size_.width);
        return;
    }
    const int64_t columns = w.columns.count();
    for (int64_t y = 0; y < w.rows.count(); y += buffer_rows_) {
        const RowRange rows{y, std::min(y + buffer_rows_, w.rows.count())};
        if (w.band) std::fill_n(values_.begin(), rows.count() * columns, 0.0f);
        draw_rows(w, rows, values_.data(), columns);
        if (columns == size_.width) {
            convert(values_.data(), rows.count() * columns, out + y * row_bytes_);
        } else {
            for (int64_t i = y; i < rows.end; ++i)
                convert(values_.data() + (i - y) * columns, columns, out + i * row_bytes_);
        }
    }
}

// Writes the whole plane past the caches. Bytes that do not fill a cache line are kept in front of the buffer for the
// next rows.
void HeatmapDrawer::stream(const Window& w, uint8_t* plane) {
    const simd::RowKernels& kernels = simd::row_kernels();
    const auto line_offset = [](const uint8_t* p) {
        return static_cast<int64_t>(reinterpret_cast<uintptr_t>(p) % kLine);
    };
    uint8_t *out = plane + w.rows.first * row_bytes_, *end = plane + size_.height * row_bytes_;
    uint8_t* buffer = bytes_.data() + kLine;
    const bool narrow = options_.type != HeatmapType::float32;
    float* values = narrow ? values_.data() : reinterpret_cast<float*>(buffer);

    int64_t pending = std::min<int64_t>(line_offset(out), out - plane);
    std::memset(buffer - pending, 0, static_cast<size_t>(pending));
    kernels.stream_zeros(plane, out - pending - plane);
    for (int64_t y = 0; y < w.rows.count(); y += buffer_rows_) {
        const RowRange rows{y, std::min(y + buffer_rows_, w.rows.count())};
        const int64_t pixels = rows.count() * size_.width, bytes = pixels * value_bytes_;
        if (w.band || w.columns.count() < size_.width) std::fill_n(values, pixels, 0.0f);
        draw_rows(w, rows, values + w.columns.first, size_.width);
        if (narrow) convert(values, pixels, buffer);
        out += bytes;
        const int64_t all = pending + bytes, rest = std::min(line_offset(out), all);
        kernels.stream_copy(buffer - pending, all - rest, out - all);
        std::memmove(buffer - rest, buffer + bytes - rest, static_cast<size_t>(rest));
        pending = rest;
    }
    const int64_t last = std::min(kLine - pending, end - out);
    std::memset(buffer, 0, static_cast<size_t>(last));
    kernels.stream_copy(buffer - pending, pending + last, out - pending);
    kernels.stream_zeros(out + last, end - out - last);
}

void HeatmapDrawer::draw(const float* landmark, const float* previous, const uint64_t* band, int64_t pitch,
                         RowRange rows, void* heatmap) {
    auto* plane = static_cast<uint8_t*>(heatmap);
    Window window = window_of(landmark);
    if (band) {
        window.rows = {std::max(window.rows.first, rows.first), std::min(window.rows.end, rows.end)};
        window.band = band + (window.rows.first - rows.first) * pitch;
        window.pitch = pitch;
    }
    if (window.columns.count() <= 0 || window.rows.count() <= 0) window = {};
    // Whole rows if the window is wide, so that no pixel is written twice; else whole blocks, which never cross a word
    // of the band.
    const bool wide = !previous && !band && 2 * window.columns.count() > size_.width;
    window.columns.first -= wide ? window.columns.first : window.columns.first % simd::kBlock;
    window.columns.end = wide ? size_.width : std::min(whole_blocks(window.columns.end), size_.width);
    make_tables(landmark, window);

    if (stream_ && !previous) return stream(window, plane);
    RowRange rest;
    if (previous) {
        const Window old = window_of(previous);
        if (old.columns.count() > 0)
            simd::row_kernels().clear_rows(plane + old.rows.first * row_bytes_ + old.columns.first * value_bytes_,
                                           old.columns.count() * value_bytes_, old.rows.count(), row_bytes_);
    } else if (wide) {
        clear(plane, {0, window.rows.first});
        clear(plane, {window.rows.end, size_.height});
    } else {
        clear(plane, {0, window.rows.end});  // brings the window's rows into the first-level cache
        rest = {window.rows.end, size_.height};
    }
    if (window.rows.count() > 0) write(window, plane);
    clear(plane, rest);
}

void HeatmapDrawer::end() const {
    if (stream_) simd::row_kernels().stream_end();
}

void render_heatmaps(const Landmarks& landmarks, ImageSize size, const HeatmapOptions& options, const uint8_t* band,
                     void* heatmaps, int threads) {
    const int64_t count = landmarks.count, per_image = landmarks.per_image;
    if (per_image == 0) return;  // avoids a loop over an arbitrarily large number of images without landmarks
    const int64_t pitch = words_for(size.width), plane = size.pixels() * bytes_of(options.type);
    const bool stream = exceeds_cache(count * per_image * plane);
    parallel_for(count, per_image * (150 + size.pixels() / 28), threads, [&](int64_t begin, int64_t end) {
        HeatmapDrawer drawer(size, options, stream);
        std::vector<uint64_t> words(band ? static_cast<size_t>(size.height * pitch) : 0);
        for (int64_t i = begin; i < end; ++i) {
            if (band) simd::row_kernels().pack(band + i * size.pixels(), size.height, pitch, size.width, words.data());
            for (int64_t k = i * per_image; k < (i + 1) * per_image; ++k)
                drawer.draw(landmarks.points + 2 * k, landmarks.previous ? landmarks.previous + 2 * k : nullptr,
                            band ? words.data() : nullptr, pitch, {0, size.height},
                            static_cast<uint8_t*>(heatmaps) + k * plane);
        }
        drawer.end();
    });
}

}  // namespace echoseg
