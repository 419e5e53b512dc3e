// Filled polygons: polygon.cuh draws, this writes.
#include "polygon.cuh"

namespace echoseg::cuda {
namespace {

struct FillArguments {
    Strips strips;
    Contours contours;
    FillRule rule;
    uint8_t* masks;
};

__global__ void __launch_bounds__(kThreads) fill_kernel(FillArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        draw_polygon(a.strips, strip, a.contours, a.rule, words, words + a.strips.window_words);
        write_mask(a.strips, strip, words, a.masks);
        __syncthreads();
    }
}

Strips cut_to_fill(int64_t count, ImageSize size, void* scratch) { return cut(count, size, 0, 2, scratch); }

}  // namespace

int64_t fill_scratch(int64_t count, ImageSize size) { return cut_to_fill(count, size, nullptr).scratch_bytes(); }

void fill_polygons(const Contours& contours, ImageSize size, FillRule rule, uint8_t* masks, void* scratch, Stream stream) {
    const Strips strips = cut_to_fill(contours.count, size, scratch);
    launch("fill_polygons", fill_kernel, strips.blocks(), strips.shared_bytes(), stream,
           FillArguments{strips, contours, rule, masks});
}

}  // namespace echoseg::cuda
