// Binary dilation, erosion, and the border band between the two, pixel for pixel OpenCV's.
#pragma once

#include "echoseg/polygon.hpp"

namespace echoseg {

enum class KernelShape : int { rect = 0, cross = 1, ellipse = 2 };

// What cv2.getStructuringElement(shape, (size, size)) makes, anchored at size / 2, applied `iterations` times.
// Outside the image nothing spreads in and nothing erodes.
struct Kernel {
    int size;
    KernelShape shape;
    int iterations;
};

// masks and out: (count, height, width); any byte but 0 counts as 1; out may not overlap masks.
void dilate(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, int threads);
void erode(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, int threads);
void border_band(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, int threads);

// The band of what fill_polygons draws, without its masks.
void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule, const Kernel& kernel, uint8_t* out,
                               int threads);

namespace cuda {

int64_t band_scratch(int64_t count, ImageSize size, const Kernel& kernel);
void dilate(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, void* scratch,
            Stream stream);
void erode(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, void* scratch,
           Stream stream);
void border_band(const uint8_t* masks, int64_t count, ImageSize size, const Kernel& kernel, uint8_t* out, void* scratch,
                 Stream stream);
void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule, const Kernel& kernel, uint8_t* out,
                               void* scratch, Stream stream);

}  // namespace cuda

}  // namespace echoseg
