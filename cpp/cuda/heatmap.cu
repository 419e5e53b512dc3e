// Heatmaps: heatmap.cuh draws.
#include "heatmap.cuh"

namespace echoseg::cuda {
namespace {

struct HeatmapArguments {
    Strips strips;
    Heatmaps heatmaps;
    const uint8_t* band;
};

template <HeatmapType kType>
__global__ void __launch_bounds__(kThreads) heatmap_kernel(HeatmapArguments a) {
    uint32_t* words = a.band ? bit_images(a.strips) : nullptr;
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        if (a.band) {
            read_mask(a.strips, strip, a.band, words);
            __syncthreads();
        }
        draw_heatmaps<kType>(a.strips, strip, a.heatmaps, words);
        __syncthreads();
    }
}

Strips cut_to_draw(int64_t count, ImageSize size, void* scratch) { return cut(count, size, 0, 1, scratch); }

}  // namespace

int64_t heatmap_scratch(int64_t count, ImageSize size) { return cut_to_draw(count, size, nullptr).scratch_bytes(); }

void render_heatmaps(const float* landmarks, const float*, int64_t count, int64_t per_image, ImageSize size,
                     const HeatmapStyle& style, const uint8_t* band, void* heatmaps, void* scratch, Stream stream) {
    if (per_image == 0) return;
    const Strips strips = cut_to_draw(count, size, scratch);
    launch("render_heatmaps", ECHOSEG_FOR_TYPE(style.type, heatmap_kernel), strips.blocks(),
           strips.shared_bytes() + kTableBytes, stream, HeatmapArguments{strips, {style, landmarks, per_image, heatmaps}, band});
}

}  // namespace echoseg::cuda
