// Filled polygons (polygon.cuh).
#include "polygon.cuh"

namespace echoseg::cuda {
namespace {

struct FillArguments {
    Strips strips;
    Contours contours;
    uint8_t* masks;
};

template <FillRule kRule>
__global__ void __launch_bounds__(kThreads) fill_kernel(FillArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        draw_polygon<kRule>(a.strips, strip, a.contours, words, words + a.strips.window_words);
        write_mask(a.strips, strip, words, a.masks);
        __syncthreads();
    }
}

Strips fill_strips(int64_t count, ImageSize size, void* workspace) { return partition(count, size, 0, 2, workspace); }

}  // namespace

int64_t fill_workspace_bytes(int64_t count, ImageSize size) {
    return fill_strips(count, size, nullptr).workspace_bytes();
}

void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, const Launch& launch) {
    const Strips strips = fill_strips(contours.count, size, launch.workspace);
    start(launch, "fill_polygons", ECHOSEG_FOR_RULE(rule, fill_kernel), strips.blocks(), strips.shared_bytes(),
          FillArguments{strips, contours, masks});
}

}  // namespace echoseg::cuda
