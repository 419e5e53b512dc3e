// Draws image by image while the bits are in the first-level cache: the polygon's bits are written as the mask, their
// dilation and erosion give the band, and the band's bits limit the heatmaps.
#include "echoseg/targets.hpp"

#include "draw.hpp"
#include "echoseg/parallel.hpp"

namespace echoseg {

void render_targets(const Contours& contours, const Landmarks& landmarks, ImageSize size, const TargetOptions& options,
                    uint8_t* masks, uint8_t* band, void* heatmaps, int threads) {
    const int64_t pixels = size.pixels(), per_image = landmarks.per_image;
    const int64_t plane = pixels * bytes_of(options.heatmap.type);
    const int64_t nanoseconds = 1000 + pixels / 24 + per_image * (150 + pixels / 28);
    const bool stream = exceeds_cache(contours.count * per_image * plane);
    parallel_for(contours.count, nanoseconds, threads, [&](int64_t begin, int64_t end) {
        BandDrawer bands(size, options.element);
        const int64_t pitch = bands.pitch();
        PolygonDrawer polygons(size, options.rule, pitch);
        MaskWriter writer(size, 2 * contours.count);
        HeatmapDrawer maps(size, options.heatmap, stream);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = contours.begin(i);
            const RowRange filled = polygons.draw(contours.points + 2 * first, contours.end(i) - first, bands.image());
            writer.write(bands.image() + filled.first * pitch, pitch, filled, masks + i * pixels);

            const RowRange range = bands.apply(filled, BandPart::band);
            writer.write(bands.result(), pitch, range, band + i * pixels);
            for (int64_t k = i * per_image; k < (i + 1) * per_image; ++k)
                maps.draw(landmarks.points + 2 * k, landmarks.previous ? landmarks.previous + 2 * k : nullptr,
                          bands.result(), pitch, range, static_cast<uint8_t*>(heatmaps) + k * plane);
            bands.clear(filled);
        }
        writer.end();
        maps.end();
    });
}

}  // namespace echoseg
