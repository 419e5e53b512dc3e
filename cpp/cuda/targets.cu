// Everything that a batch trains on, strip by strip while its bits are in shared memory: the polygon's bits become the mask,
// their dilation and erosion the band, and the band's bits cut the heatmaps. With several blocks on a multiprocessor, some draw
// bits while others write.
#include "echoseg/targets.hpp"

#include "band.cuh"
#include "heatmap.cuh"

namespace echoseg::cuda {
namespace {

struct TargetArguments {
    Strips strips;
    Contours contours;
    FillRule rule;
    Kernel kernel;
    Heatmaps heatmaps;
    uint8_t *masks, *band;
};

template <HeatmapType kType>
__global__ void __launch_bounds__(kThreads) target_kernel(TargetArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        draw_polygon(a.strips, strip, a.contours, a.rule, words, words + a.strips.window_words);
        write_mask(a.strips, strip, words, a.masks);
        const uint32_t* band = draw_band(a.strips, strip, a.kernel, BandPart::band, words);
        write_mask(a.strips, strip, band, a.band);
        draw_heatmaps<kType>(a.strips, strip, a.heatmaps, band);
        __syncthreads();
    }
}

}  // namespace

void render_targets(const Contours& contours, const float* landmarks, const float*, int64_t per_image, ImageSize size,
                    const TargetStyle& style, uint8_t* masks, uint8_t* band, void* heatmaps, void* scratch, Stream stream) {
    const Strips strips = cut(contours.count, size, reach_of(style.kernel), kBandBuffers, scratch);
    launch("render_targets", ECHOSEG_FOR_TYPE(style.heatmap.type, target_kernel), strips.blocks(),
           strips.shared_bytes() + kTableBytes, stream,
           TargetArguments{strips, contours, style.rule, style.kernel, {style.heatmap, landmarks, per_image, heatmaps}, masks,
                           band});
}

}  // namespace echoseg::cuda
