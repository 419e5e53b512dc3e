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
    StructuringElement element;
    Heatmaps heatmaps;
    uint8_t *masks, *band;
};

template <HeatmapType kType, FillRule kRule>
__global__ void __launch_bounds__(kThreads, kBlocks) target_kernel(TargetArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        for (int64_t k = threadIdx.x; k < a.heatmaps.per_image; k += blockDim.x)
            prefetch(a.heatmaps.landmarks + 2 * (strip.image * a.heatmaps.per_image + k));
        draw_polygon<kRule>(a.strips, strip, a.contours, words, words + a.strips.window_words);
        write_mask(a.strips, strip, words, a.masks);
        const uint32_t* band = draw_band(a.strips, strip, a.element, BandPart::band, words);
        write_mask(a.strips, strip, band, a.band);
        draw_heatmaps<kType>(a.strips, strip, a.heatmaps, band);
        __syncthreads();
    }
}

template <HeatmapType kType>
auto kernel_of(FillRule rule) {
    return rule == FillRule::center ? target_kernel<kType, FillRule::center> : target_kernel<kType, FillRule::opencv>;
}

}  // namespace

void render_targets(const Contours& contours, const Landmarks& landmarks, ImageSize size, const TargetOptions& options,
                    uint8_t* masks, uint8_t* band, void* heatmaps, const Launch& launch) {
    const Strips strips = partition(contours.count, size, reach_of(options.element), kBandBuffers, launch.workspace);
    const Heatmaps planes{options.heatmap, landmarks.points, landmarks.per_image, heatmaps};
    start(launch, "render_targets", ECHOSEG_FOR_TYPE(options.heatmap.type, kernel_of)(options.rule), strips.blocks(),
          strips.shared_bytes() + kTableBytes, TargetArguments{strips, contours, options.element, planes, masks, band});
}

}  // namespace echoseg::cuda
