// Dilation, erosion and the border band: band.cuh draws, this reads and writes.
#include "band.cuh"
#include "polygon.cuh"

namespace echoseg::cuda {
namespace {

struct MorphArguments {
    Strips strips;
    Kernel kernel;
    BandPart part;
    const uint8_t* masks;
    uint8_t* out;
};

__global__ void __launch_bounds__(kThreads) morph_kernel(MorphArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        read_mask(a.strips, strip, a.masks, words);
        __syncthreads();
        write_mask(a.strips, strip, draw_band(a.strips, strip, a.kernel, a.part, words), a.out);
        __syncthreads();
    }
}

struct ContourBandArguments {
    Strips strips;
    Contours contours;
    FillRule rule;
    Kernel kernel;
    uint8_t* out;
};

__global__ void __launch_bounds__(kThreads) contour_band_kernel(ContourBandArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        draw_polygon(a.strips, strip, a.contours, a.rule, words, words + a.strips.window_words);
        write_mask(a.strips, strip, draw_band(a.strips, strip, a.kernel, BandPart::band, words), a.out);
        __syncthreads();
    }
}

void morph(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, BandPart part, uint8_t* out,
           void* scratch, Stream stream) {
    const Strips strips = cut(count, size, reach_of(kernel), kBandBuffers, scratch);
    launch("border_band", morph_kernel, strips.blocks(), strips.shared_bytes(), stream,
           MorphArguments{strips, kernel, part, masks, out});
}

}  // namespace

int64_t band_scratch(int64_t count, ImageSize size, const Kernel& kernel) {
    return cut(count, size, reach_of(kernel), kBandBuffers, nullptr).scratch_bytes();
}

void dilate(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, void* scratch,
            Stream stream) {
    morph(masks, count, size, kernel, BandPart::dilated, out, scratch, stream);
}

void erode(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, void* scratch,
           Stream stream) {
    morph(masks, count, size, kernel, BandPart::eroded, out, scratch, stream);
}

void border_band(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, void* scratch,
                 Stream stream) {
    morph(masks, count, size, kernel, BandPart::band, out, scratch, stream);
}

void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule, const Kernel& kernel, uint8_t* out,
                               void* scratch, Stream stream) {
    const Strips strips = cut(contours.count, size, reach_of(kernel), kBandBuffers, scratch);
    launch("border_band_from_contours", contour_band_kernel, strips.blocks(), strips.shared_bytes(), stream,
           ContourBandArguments{strips, contours, rule, kernel, out});
}

}  // namespace echoseg::cuda
