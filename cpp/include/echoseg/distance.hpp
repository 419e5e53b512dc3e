// Exact Euclidean distances: of each pixel to the background, and between the borders of two masks.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

// Distance between vertically and horizontally adjacent pixels, in any unit; positive and finite.
struct Spacing {
    double y, x;
};

// masks, out: (count, height, width). out is the distance of each pixel to the nearest 0 of its image, in the unit of
// the spacing: 0 where the mask is 0, infinity in an image without a 0.
void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out, int threads);

// predicted, true_masks: (count, height, width). hd95, assd: (count).
//
// A border pixel is a foreground pixel with a background pixel or the image's edge among its four neighbours. hd95 is
// the larger of the two directed 95th percentiles, linearly interpolated; assd is the mean over the pixels of both
// borders. Both are infinite if exactly one mask is empty, and 0 if both are.
void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                       Spacing spacing, double* hd95, double* assd, int threads);

// predicted, true_masks: (count, height, width). nsd: (count), the normalised surface Dice.
//
// The share of the length of both contours that is within the tolerance, a distance in the unit of the spacing, of the
// other contour: detail/contour.hpp. It is 0 if exactly one mask is empty, and NaN if both are.
void normalized_surface_dice(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                             Spacing spacing, double tolerance, double* nsd, int threads);

namespace cuda {

int64_t distance_workspace_bytes(int64_t count, ImageSize size);
void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out,
                        const Launch& launch);

int64_t surface_workspace_bytes(int64_t count, ImageSize size);
void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                       Spacing spacing, double* hd95, double* assd, const Launch& launch);

int64_t surface_dice_workspace_bytes(int64_t count, ImageSize size);
void normalized_surface_dice(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                             Spacing spacing, double tolerance, double* nsd, const Launch& launch);

}  // namespace cuda

}  // namespace echoseg
