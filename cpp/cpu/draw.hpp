// How one image is drawn: the parts that the single kernels and the fused targets share. Rows are bit images (simd/rows.hpp).
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

// From bits to bytes. Many masks are written past the caches, a strip of rows at a time. As drawing takes longer than writing,
// that begins to pay later than for zeros: measured at 17 and 25 MB it cost a twentieth, at 64 MB it saved a quarter.
class MaskWriter {
   public:
    MaskWriter(ImageSize size, int64_t masks);

    // Writes the rows in range, and zeros above and below them. `words` points at row range.first.
    void write(const uint64_t* words, int64_t pitch, RowRange range, uint8_t* mask);
    // Makes what was written seen by other threads.
    void end();

   private:
    static constexpr int64_t kStripBytes = 8192, kStreamBytes = int64_t{32} << 20;

    ImageSize size_;
    bool stream_;
    int64_t strip_;  // rows
    std::vector<uint8_t> stage_;
};

class PolygonDrawer {
   public:
    PolygonDrawer(ImageSize size, FillRule rule, int64_t pitch);

    // Draws into `words` (height rows of zeros) and says which rows it may have touched.
    RowRange draw(const float* points, int64_t count, uint64_t* words);

   private:
    RowRange draw_center(const float* points, int64_t count, uint64_t* words);
    RowRange draw_opencv(const float* points, int64_t count, uint64_t* words);

    ImageSize size_;
    FillRule rule_;
    int64_t pitch_;
    std::vector<uint64_t> marks_;  // rule opencv: the outline and the crossings that lie on a pixel
};

enum class BandPart { dilated, eroded, band };

class BandDrawer {
   public:
    BandDrawer(ImageSize size, const Kernel& kernel);

    int64_t pitch() const { return pitch_; }
    // Where the caller puts the image: height rows, zeros outside the rows that it names.
    uint64_t* image() { return image_.data() + margin_; }
    void clear(RowRange rows) {
        std::memset(image() + rows.first * pitch_, 0, static_cast<size_t>(rows.count() * pitch_) * sizeof(uint64_t));
    }
    // The rows in which the result may be other than zero; result() points at the first of them.
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

// Whether an output of so many bytes is written faster past the caches. Small ones never are and large ones always; between the
// two it depends on how much of a cache that others share this process gets, of which sizes on paper tell nothing: one machine
// wrote 22 MB into its caches 1.4 times as fast as past them, another, of the same cache size, 2.7 times as slowly. So that is
// measured, once, in some milliseconds.
bool exceeds_cache(int64_t bytes);

class HeatmapDrawer {
   public:
    // `stream`: the planes together exceed the caches and are written past them; end() then makes them seen by other threads.
    HeatmapDrawer(ImageSize size, const HeatmapStyle& style, bool stream);

    // `band` holds the bits of `rows` alone, outside of which it is zero; null stands for no band at all.
    // `previous`: the landmark whose heatmap is all that the plane holds, or null where it may hold anything.
    void draw(const float* landmark, const float* previous, const uint64_t* band, int64_t pitch, RowRange rows, void* plane);
    void end() const;

   private:
    struct Window {
        RowRange columns, rows;  // columns.first is a multiple of simd::kBlock once they are drawn
        const uint64_t* band;    // bits of its first row, or null
        int64_t pitch;
    };

    Window reached(const float* landmark) const;
    void make_tables(const float* landmark, const Window& window);
    // Draws `rows` of the window, counted from its first.
    void draw_rows(const Window& window, RowRange rows, float* out, int64_t out_pitch) const;
    void convert(const float* values, int64_t count, void* out) const;
    void clear(uint8_t* plane, RowRange rows) const;
    void write(const Window& window, uint8_t* plane);
    void stream(const Window& window, uint8_t* plane);

    ImageSize size_;
    HeatmapStyle style_;
    bool stream_;
    int64_t item_, row_;   // bytes of a value, of a row
    int64_t buffer_rows_;  // as many rows as the buffers hold
    float scale_, reach_;
    std::vector<float> factor_x_, square_x_, factor_y_, square_y_;
    std::vector<float> values_;   // rows on their way to a narrower type
    std::vector<uint8_t> bytes_;  // rows on their way past the caches, as they are to lie in the plane
};

}  // namespace echoseg
