// The first maximum of each plane: one pass for the value, a second that stops where it is found. What lies between the pixels is
// then looked for in its neighbourhood alone, by the rules in detail/decode.hpp.
#include "echoseg/decode.hpp"

#include <cmath>

#include "echoseg/detail/decode.hpp"
#include "echoseg/parallel.hpp"
#include "simd/rows.hpp"

namespace echoseg {

void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window, float* points,
                     float* confidence, int threads) {
    const int64_t refining = method == DecodeMethod::argmax ? 0 : method == DecodeMethod::dark ? 200 : 2000;
    parallel_for(planes, 50 + size.pixels() / 13 + refining, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const detail::Plane plane{heatmaps + i * size.pixels(), size.height, size.width};
            const int64_t at = simd::rows().argmax(plane.values, size.pixels());
            detail::Place place{static_cast<double>(at % size.width), static_cast<double>(at / size.width)};
            confidence[i] = plane.values[at];
            if (std::isfinite(confidence[i])) {
                if (method == DecodeMethod::soft_argmax) place = detail::soft_argmax(plane, place, static_cast<double>(window));
                if (method == DecodeMethod::dark) place = detail::dark(plane, place);
            }
            points[2 * i] = static_cast<float>(place.x);
            points[2 * i + 1] = static_cast<float>(place.y);
        }
    });
}

}  // namespace echoseg
