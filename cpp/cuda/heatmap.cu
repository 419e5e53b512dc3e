// Heatmaps (heatmap.cuh).
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

Strips heatmap_strips(int64_t count, ImageSize size, void* workspace) {
    return partition(count, size, 0, 1, workspace);
}

}  // namespace

int64_t heatmap_workspace_bytes(int64_t count, ImageSize size) {
    return heatmap_strips(count, size, nullptr).workspace_bytes();
}

void render_heatmaps(const Landmarks& landmarks, ImageSize size, const HeatmapOptions& options, const uint8_t* band,
                     void* heatmaps, const Launch& launch) {
    if (landmarks.per_image == 0) return;
    const Strips strips = heatmap_strips(landmarks.count, size, launch.workspace);
    start(launch, "render_heatmaps", ECHOSEG_FOR_TYPE(options.type, heatmap_kernel), strips.blocks(),
          strips.shared_bytes() + kTableBytes,
          HeatmapArguments{strips, {options, landmarks.points, landmarks.per_image, heatmaps}, band});
}

}  // namespace echoseg::cuda
