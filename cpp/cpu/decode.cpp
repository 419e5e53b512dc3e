// The first maximum of each plane: one pass for the value, a second that stops where it is found.
#include "echoseg/decode.hpp"

#include "echoseg/parallel.hpp"
#include "simd/rows.hpp"

namespace echoseg {

void decode_argmax(const float* heatmaps, int64_t planes, ImageSize size, float* points, float* confidence, int threads) {
    parallel_for(planes, 50 + size.pixels() / 13, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const float* plane = heatmaps + i * size.pixels();
            const int64_t at = simd::rows().argmax(plane, size.pixels());
            points[2 * i] = static_cast<float>(at % size.width);
            points[2 * i + 1] = static_cast<float>(at / size.width);
            confidence[i] = plane[at];
        }
    });
}

}  // namespace echoseg
