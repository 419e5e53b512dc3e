// Binary dilation, erosion, and the border band between the two, pixel for pixel as OpenCV.
#pragma once

#include "echoseg/polygon.hpp"

namespace echoseg {

enum class ElementShape : int { rect = 0, cross = 1, ellipse = 2 };

// cv2.getStructuringElement(shape, (size, size)), anchored at size / 2 and applied `iterations` times. Pixels outside
// the image neither dilate nor erode anything.
struct StructuringElement {
    int size;
    ElementShape shape;
    int iterations;
};

// masks, out: (count, height, width). Any non-zero byte of masks counts as 1. out must not overlap masks.
void dilate(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
            int threads);
void erode(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
           int threads);
void border_band(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
                 int threads);

// border_band of the masks that fill_polygons draws, without storing those masks.
void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule,
                               const StructuringElement& element, uint8_t* out, int threads);

namespace cuda {

// Serves dilate, erode, border_band, border_band_from_contours and render_targets.
int64_t band_workspace_bytes(int64_t count, ImageSize size, const StructuringElement& element);

void dilate(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
            const Launch& launch);
void erode(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
           const Launch& launch);
void border_band(const uint8_t* masks, int64_t count, ImageSize size, const StructuringElement& element, uint8_t* out,
                 const Launch& launch);
void border_band_from_contours(const Contours& contours, ImageSize size, FillRule rule,
                               const StructuringElement& element, uint8_t* out, const Launch& launch);

}  // namespace cuda

}  // namespace echoseg
