// Finds the first maximum of each plane, then refines it to a sub-pixel position by the rules of detail/decode.hpp.
#include "echoseg/decode.hpp"

#include <cmath>

#include "echoseg/detail/decode.hpp"
#include "echoseg/parallel.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {

void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window,
                     float* points, float* confidence, int threads) {
    const int64_t refining = method == DecodeMethod::argmax ? 0 : method == DecodeMethod::dark ? 200 : 2000;
    parallel_for(planes, 50 + size.pixels() / 13 + refining, threads, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const detail::Plane plane{heatmaps + i * size.pixels(), size.height, size.width};
            const int64_t index = simd::row_kernels().argmax(plane.values, size.pixels());
            detail::Position top{static_cast<double>(index % size.width), static_cast<double>(index / size.width)};
            confidence[i] = plane.values[index];
            if (std::isfinite(confidence[i])) {
                if (method == DecodeMethod::soft_argmax)
                    top = detail::soft_argmax(plane, top, static_cast<double>(window));
                if (method == DecodeMethod::dark) top = detail::dark(plane, top);
            }
            points[2 * i] = static_cast<float>(top.x);
            points[2 * i + 1] = static_cast<float>(top.y);
        }
    });
}

}  // namespace echoseg
