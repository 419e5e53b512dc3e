// Draws strip by strip while the bits are in shared memory: the polygon's bits are written as the mask, their dilation
// and erosion give the band, and the band's bits limit the heatmaps. With several blocks on a multiprocessor, some
// compute bits while others write.
#include "echoseg/targets.hpp"

#include "band.cuh"
#include "heatmap.cuh"

namespace echoseg::cuda {
namespace {

struct TargetArguments {
    Strips strips;
    Contours contours;
    FillRule rule;
    StructuringElement element;
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
        const uint32_t* band = draw_band(a.strips, strip, a.element, BandPart::band, words);
        write_mask(a.strips, strip, band, a.band);
        draw_heatmaps<kType>(a.strips, strip, a.heatmaps, band);
        __syncthreads();
    }
}

}  // namespace

void render_targets(const Contours& contours, const Landmarks& landmarks, ImageSize size, const TargetOptions& options,
                    uint8_t* masks, uint8_t* band, void* heatmaps, const Launch& launch) {
    const Strips strips = partition(contours.count, size, reach_of(options.element), kBandBuffers, launch.workspace);
    const Heatmaps planes{options.heatmap, landmarks.points, landmarks.per_image, heatmaps};
    start(launch, "render_targets", ECHOSEG_FOR_TYPE(options.heatmap.type, target_kernel), strips.blocks(),
          strips.shared_bytes() + kTableBytes,
          TargetArguments{strips, contours, options.rule, options.element, planes, masks, band});
}

}  // namespace echoseg::cuda
