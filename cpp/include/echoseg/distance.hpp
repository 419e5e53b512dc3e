// Exact Euclidean distances: of every pixel to the background, and between the borders of two masks.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

// From a pixel to the next one down and the next one to the right, in any unit; positive and finite.
struct Spacing {
    double y, x;
};

// masks: (count, height, width); out: the same shape, from each pixel to the nearest 0, in the spacing's unit: 0 where the mask
// is 0, infinity in an image without a 0.
void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out, int threads);

// predicted, true_masks: (count, height, width); hd95, assd: (count). A border pixel is a foreground pixel with a background
// pixel, or the image's edge, among its four neighbours. hd95: the larger of the two directed 95th percentiles, interpolated
// linearly; assd: the mean over both borders' pixels. Infinity where one mask is empty, 0 where both are.
void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size, Spacing spacing,
                       double* hd95, double* assd, int threads);

namespace cuda {

int64_t distance_scratch(int64_t count, ImageSize size);
void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out, void* scratch,
                        Stream stream);

int64_t surface_scratch(int64_t count, ImageSize size);
void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size, Spacing spacing,
                       double* hd95, double* assd, void* scratch, Stream stream);

}  // namespace cuda

}  // namespace echoseg
