// Dilation of bit images. A structuring element is a union of boxes that all contain the origin
// (detail/structuring.hpp). Dilation by a box of length n takes log2(n) passes along each axis: if every bit is the OR
// of w consecutive bits, an OR with the bits w ahead makes it the OR of 2 w bits. A pass is one flat loop over the
// whole image, since every row is padded with enough zeros to keep rows apart; a pass along the columns is the same
// loop with a larger shift. The cost therefore hardly grows with the size of the element.
//
// Erosion is dilation of the complement, with pixels outside the image as zeros of the complement: as in OpenCV, the
// image's edge does not erode. Both use the same element, not its reflection, since OpenCV uses the same offsets for
// both.
//
// band = dilated XOR eroded = dilated AND dilated complement, since the element contains the origin.
#include "echoseg/band.hpp"

#include <algorithm>
#include <cstring>

#include "draw.hpp"
#include "echoseg/parallel.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {

BandDrawer::BandDrawer(ImageSize size, const StructuringElement& element)
    : size_(size), iterations_(detail::box_iterations(element)) {
    for (int64_t i = 0; i < detail::box_count(element); ++i) {
        detail::Box box = detail::box(element, i);
        // A longer reach than the image, or more iterations than rows and columns, would not change the result.
        box = {std::min(box.left, size.width - 1), std::min(box.right, size.width - 1),
               std::min(box.up, size.height - 1), std::min(box.down, size.height - 1)};
        if (!boxes_.empty() && boxes_.back().left == box.left && boxes_.back().right == box.right) continue;
        boxes_.push_back(box);
        reach_x_ = std::max({reach_x_, box.left, box.right});
        reach_y_ = std::max({reach_y_, box.up, box.down});
    }
    iterations_ = std::min(iterations_, size.height + size.width);
    pitch_ = words_for(size.width + reach_x_);
    margin_ = 2 * (reach_y_ * pitch_ + reach_x_ / 64 + 2);
    const auto words = static_cast<size_t>(size.height * pitch_ + 2 * margin_);
    for (auto* buffer : {&image_, &complement_, &work_, &dilated_[0], &dilated_[1], &eroded_[0], &eroded_[1]})
        buffer->resize(words);
    result_ = image();
}

void BandDrawer::dilate_box(const uint64_t* source, int64_t rows, const detail::Box& box, bool add, uint64_t* out) {
    const simd::RowKernels& kernels = simd::row_kernels();
    const int64_t before = box.up * pitch_ + words_for(box.left);
    const int64_t count = before + rows * pitch_;
    uint64_t* work = work_.data();
    std::memcpy(work, source - before, static_cast<size_t>(count) * sizeof *work);
    std::memset(work + count, 0, static_cast<size_t>(margin_) * sizeof *work);
    const auto widen = [&](int64_t length, int64_t step) {
        int64_t done = 1;
        for (; 2 * done <= length; done *= 2) kernels.or_ahead(work, count, done * step);
        if (done < length) kernels.or_ahead(work, count, (length - done) * step);
    };
    widen(box.left + box.right + 1, 1);
    widen(box.up + box.down + 1, 64 * pitch_);
    kernels.copy_shifted(work + before, rows * pitch_, -(box.up * 64 * pitch_ + box.left), add, out);
}

// source: `rows` rows surrounded by zeros. Returns the result, in one of the buffers, surrounded by zeros.
uint64_t* BandDrawer::dilate(const uint64_t* source, int64_t rows, std::vector<uint64_t> (&buffers)[2]) {
    uint64_t* out = nullptr;
    for (int64_t i = 0; i < iterations_; ++i) {
        out = buffers[i % 2].data() + margin_;
        for (const detail::Box& box : boxes_) dilate_box(source, rows, box, &box != &boxes_.front(), out);
        simd::row_kernels().mask_rows(out, rows, pitch_, size_.width);
        std::memset(out + rows * pitch_, 0, static_cast<size_t>(margin_) * sizeof *out);
        source = out;
    }
    return out;
}

RowRange BandDrawer::apply(RowRange rows, BandPart part) {
    if (rows.count() <= 0) return {};
    const int64_t reach = std::min(reach_y_ * iterations_, size_.height);
    const RowRange window{std::max<int64_t>(rows.first - reach, 0), std::min(rows.end + reach, size_.height)};
    const int64_t words = window.count() * pitch_;
    const uint64_t* source = image() + window.first * pitch_;

    if (part != BandPart::eroded) result_ = dilate(source, window.count(), dilated_);
    if (part != BandPart::dilated) {
        // Rows outside the window are ones of the complement but count as zeros here. The result is the same: unless
        // they are at the image's edge, the outermost rows of the window are ones as well, and stay ones.
        uint64_t* complement = complement_.data() + margin_;
        for (int64_t i = 0; i < words; ++i) complement[i] = ~source[i];
        simd::row_kernels().mask_rows(complement, window.count(), pitch_, size_.width);
        std::memset(complement + words, 0, static_cast<size_t>(margin_) * sizeof *complement);
        uint64_t* eroded = dilate(complement, window.count(), eroded_);
        if (part == BandPart::band) {
            for (int64_t i = 0; i < words; ++i) eroded[i] &= result_[i];
        } else {
            for (int64_t i = 0; i < words; ++i) eroded[i] = ~eroded[i] & source[i];
        }
        result_ = eroded;
    }
    return window;
}

namespace {

void morph(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, BandPart part,
           uint8_t* out, int threads) {
    parallel_for(count, 250 + size.pixels() / 24, threads, [&](int64_t begin, int64_t end) {
        BandDrawer drawer(size, element);
        MaskWriter writer(size, count);
        const int64_t pitch = drawer.pitch();
        for (int64_t i = begin; i < end; ++i) {
            uint64_t* image = drawer.image();
            simd::row_kernels().pack(masks + i * size.pixels(), size.height, pitch, size.width, image);
            int64_t low = 0, high = size.height * pitch;
            while (low < high && image[low] == 0) ++low;
            while (high > low && image[high - 1] == 0) --high;
            const RowRange rows = low == high ? RowRange{} : RowRange{low / pitch, (high - 1) / pitch + 1};
            const RowRange range = drawer.apply(rows, part);
            writer.write(drawer.result(), pitch, range, out + i * size.pixels());
        }
        writer.end();
    });
}

}  // namespace

void dilate(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
            int threads) {
    morph(masks, count, size, element, BandPart::dilated, out, threads);
}

void erode(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
           int threads) {
    morph(masks, count, size, element, BandPart::eroded, out, threads);
}

void border_band(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
                 int threads) {
    morph(masks, count, size, element, BandPart::band, out, threads);
}

void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule,
                               const StructuringElement& element, uint8_t* out, int threads) {
    parallel_for(contours.count, 1000 + size.pixels() / 32, threads, [&](int64_t begin, int64_t end) {
        BandDrawer bands(size, element);
        PolygonDrawer polygons(size, rule, bands.pitch());
        MaskWriter writer(size, contours.count);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = contours.begin(i);
            const RowRange filled = polygons.draw(contours.points + 2 * first, contours.end(i) - first, bands.image());
            const RowRange range = bands.apply(filled, BandPart::band);
            writer.write(bands.result(), bands.pitch(), range, out + i * size.pixels());
            bands.clear(filled);
        }
        writer.end();
    });
}

}  // namespace echoseg
