// One heatmap a landmark.
#pragma once

#include "echoseg/device.hpp"
#include "echoseg/types.hpp"

namespace echoseg {

enum class HeatmapKind : int {
    gaussian = 0,   // exp(-d^2 / (2 sigma^2))
    euclidean = 1,  // max(0, 1 - d / radius)
};

// What a value in [0, 1] is written as, to nearest and ties to even (detail/narrow.hpp).
enum class HeatmapType : int { float32 = 0, bfloat16 = 1, float16 = 2, uint8 = 3 };  // uint8: round(255 * value)

constexpr int64_t bytes_of(HeatmapType type) {
    return type == HeatmapType::float32 ? 4 : type == HeatmapType::uint8 ? 1 : 2;
}

struct HeatmapStyle {
    HeatmapKind kind;
    float sigma;   // gaussian only
    float radius;  // zero beyond it; infinity where there is none (gaussian only)
    HeatmapType type;
};

// landmarks: (count, per_image, 2); band: (count, height, width) or null; heatmaps: (count, per_image, height, width) of
// style.type. A heatmap is zero where its image's band is zero.
//
// previous: (count, per_image, 2) or null. With it, `heatmaps` holds zeros but for what a call with these landmarks, this kind,
// this radius and this sigma drew, whatever its band was, and only that is cleared before drawing. It saves time and decides
// nothing else: a twin may as well write every pixel.
//
// A twin on another device comes within 1e-6 of the float32 values (detail/heat.hpp), and of the others within the step that
// such a difference may cause.
void render_heatmaps(const float* landmarks, const float* previous, int64_t count, int64_t per_image, ImageSize size,
                     const HeatmapStyle& style, const uint8_t* band, void* heatmaps, int threads);

namespace cuda {

// previous is not looked at: every pixel is written.
int64_t heatmap_scratch(int64_t count, ImageSize size);
void render_heatmaps(const float* landmarks, const float* previous, int64_t count, int64_t per_image, ImageSize size,
                     const HeatmapStyle& style, const uint8_t* band, void* heatmaps, void* scratch, Stream stream);

}  // namespace cuda

}  // namespace echoseg
