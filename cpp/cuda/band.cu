// Dilation, erosion and the border band (band.cuh).
#include "band.cuh"
#include "polygon.cuh"

namespace echoseg::cuda {
namespace {

struct MorphArguments {
    Strips strips;
    StructuringElement element;
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
        write_mask(a.strips, strip, draw_band(a.strips, strip, a.element, a.part, words), a.out);
        __syncthreads();
    }
}

struct ContourBandArguments {
    Strips strips;
    Contours contours;
    StructuringElement element;
    uint8_t* out;
};

template <FillRule kRule>
__global__ void __launch_bounds__(kThreads, kBlocks) contour_band_kernel(ContourBandArguments a) {
    uint32_t* words = bit_images(a.strips);
    for (int64_t i = blockIdx.x; i < a.strips.count; i += gridDim.x) {
        const Strip strip = strip_at(a.strips, i);
        draw_polygon<kRule>(a.strips, strip, a.contours, words, words + a.strips.window_words);
        write_mask(a.strips, strip, draw_band(a.strips, strip, a.element, BandPart::band, words), a.out);
        __syncthreads();
    }
}

void morph(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, BandPart part,
           uint8_t* out, const Launch& launch) {
    const Strips strips = partition(count, size, reach_of(element), kBandBuffers, launch.workspace);
    start(launch, "border_band", morph_kernel, strips.blocks(), strips.shared_bytes(),
          MorphArguments{strips, element, part, masks, out});
}

}  // namespace

int64_t band_workspace_bytes(int64_t count, ImageSize size, const StructuringElement& element) {
    return partition(count, size, reach_of(element), kBandBuffers, nullptr).workspace_bytes();
}

void dilate(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
            const Launch& launch) {
    morph(masks, count, size, element, BandPart::dilated, out, launch);
}

void erode(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
           const Launch& launch) {
    morph(masks, count, size, element, BandPart::eroded, out, launch);
}

void border_band(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
                 const Launch& launch) {
    morph(masks, count, size, element, BandPart::band, out, launch);
}

void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule,
                               const StructuringElement& element, uint8_t* out, const Launch& launch) {
    const Strips strips = partition(contours.count, size, reach_of(element), kBandBuffers, launch.workspace);
    start(launch, "border_band_from_contours", ECHOSEG_FOR_RULE(rule, contour_band_kernel), strips.blocks(),
          strips.shared_bytes(), ContourBandArguments{strips, contours, element, out});
}

}  // namespace echoseg::cuda
