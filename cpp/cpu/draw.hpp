// Drawing of a single image: the parts shared by the single kernels and render_targets. Bit images:
// simd/row_kernels.hpp.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "echoseg/band.hpp"
#include "echoseg/detail/structuring.hpp"
#include "echoseg/heatmap.hpp"
#include "echoseg/polygon.hpp"

namespace echoseg {

struct RowRange {
    int64_t first = 0, end = 0;

    int64_t count() const { return end - first; }
};

inline int64_t words_for(int64_t bits) { return (bits + 63) / 64; }

// Converts bit images to bytes. Large outputs are written past the caches, a strip of rows at a time. Measured: this
// costs 5 % at 17 and 25 MB and saves 25 % at 64 MB. The threshold is higher than for zeros, since drawing takes longer
// than writing.
class MaskWriter {
   public:
    MaskWriter(ImageSize size, int64_t masks);

    // Writes the rows of `range`, and zeros above and below them. `words` points to row range.first.
    void write(const uint64_t* words, int64_t pitch, RowRange range, uint8_t* mask);
    // The same for the bits before carry_fill. Clears them, and the marks unless that is null.
    void write_crossed(uint64_t* words, uint64_t* marks, int64_t pitch, RowRange range, uint8_t* mask);
    // Makes the output visible to other threads.
    void end();

   private:
    template <typename Expand>
    void write_range(RowRange range, uint8_t* mask, const Expand& expand);

    static constexpr int64_t kStripBytes = 8192, kStreamBytes = int64_t{32} << 20;

    ImageSize size_;
    bool stream_;
    int64_t strip_;  // rows
    std::vector<uint8_t> buffer_;
};

class PolygonDrawer {
   public:
    PolygonDrawer(ImageSize size, FillRule rule, int64_t pitch);

    // Draws into `words`, which must be zero, and returns the rows that may be non-zero afterwards.
    RowRange draw(const float* points, int64_t count, uint64_t* words);
    // Writes the mask. `words` must be zero, and is zero afterwards. Faster than draw and write.
    void fill(const float* points, int64_t count, uint64_t* words, MaskWriter& writer, uint8_t* mask);

   private:
    // Draws what carry_fill completes.
    RowRange cross(const float* points, int64_t count, uint64_t* words);
    RowRange cross_center(const float* points, int64_t count, uint64_t* words);
    RowRange cross_opencv(const float* points, int64_t count, uint64_t* words);
    uint64_t* marks(RowRange range) { return marks_.empty() ? nullptr : marks_.data() + range.first * pitch_; }

    ImageSize size_;
    FillRule rule_;
    int64_t pitch_;
    std::vector<uint64_t> marks_;  // rule opencv: the boundary, and the crossings that are exactly on a pixel
};

enum class BandPart { dilated, eroded, band };

class BandDrawer {
   public:
    BandDrawer(ImageSize size, const StructuringElement& element);

    int64_t pitch() const { return pitch_; }
    // The input image, to be written by the caller. Rows outside the range passed to apply() must be zero.
    uint64_t* image() { return image_.data() + margin_; }
    void clear(RowRange rows) {
        std::memset(image() + rows.first * pitch_, 0, static_cast<size_t>(rows.count() * pitch_) * sizeof(uint64_t));
    }
    // Returns the rows that may be non-zero in the result; result() points to the first of them.
    RowRange apply(RowRange rows, BandPart part);
    const uint64_t* result() const { return result_; }

   private:
    uint64_t* dilate(const uint64_t* source, int64_t rows, std::vector<uint64_t> (&buffers)[2]);
    void dilate_box(const uint64_t* source, int64_t rows, const detail::Box& box, bool add, uint64_t* out);

    ImageSize size_;
    std::vector<detail::Box> boxes_;
    int64_t iterations_, reach_x_ = 0, reach_y_ = 0, pitch_, margin_;
    std::vector<uint64_t> image_, complement_, work_, dilated_[2], eroded_[2];
    const uint64_t* result_ = nullptr;
};

// Whether an output of so many bytes is written faster past the caches. Between a lower and an upper bound this depends
// on the share of the cache that the process gets, which the nominal cache size does not predict: of two machines with
// the same cache size, one wrote 22 MB into its caches 1.4 times as fast as past them, the other 2.7 times as slowly.
// So it is measured once, in a few milliseconds.
bool exceeds_cache(int64_t bytes);

class HeatmapDrawer {
   public:
    // stream: write the planes past the caches, for outputs that exceed them. end() then makes them visible to other
    // threads.
    HeatmapDrawer(ImageSize size, const HeatmapOptions& options, bool stream);

    // band: null, or the bits of `rows`; the band is zero outside these rows.
    // previous: null, or the landmark of the heatmap that the plane holds, everything else in it being zero.
    void draw(const float* landmark, const float* previous, const uint64_t* band, int64_t pitch, RowRange rows,
              void* plane);
    void end() const;

   private:
    // The part of the plane that may be non-zero.
    struct Window {
        RowRange columns, rows;  // columns.first is a multiple of simd::kBlock while drawing
        const uint64_t* band;    // bits of the first row of the window, or null
        int64_t pitch;
    };

    Window window_of(const float* landmark) const;
    void make_tables(const float* landmark, const Window& window);
    // `rows` counts from the first row of the window.
    void draw_rows(const Window& window, RowRange rows, float* out, int64_t out_pitch) const;
    void convert(const float* values, int64_t count, void* out) const;
    void clear(uint8_t* plane, RowRange rows) const;
    void write(const Window& window, uint8_t* plane);
    void stream(const Window& window, uint8_t* plane);

    ImageSize size_;
    HeatmapOptions options_;
    bool stream_;
    int64_t value_bytes_, row_bytes_;
    int64_t buffer_rows_;  // rows that the buffers below hold
    float scale_, reach_;
    std::vector<float> factor_x_, square_x_, factor_y_, square_y_;
    std::vector<float> values_;   // rows to be converted to a narrower type
    std::vector<uint8_t> bytes_;  // rows to be written past the caches
};

}  // namespace echoseg
