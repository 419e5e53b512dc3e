// Finds the first maximum of each plane: one block per plane, with a strided loop per thread and a tree reduction in
// shared memory. One thread then refines it (detail/decode.hpp), since that reads only about a hundred pixels.
#include "echoseg/decode.hpp"

#include <cmath>

#include "echoseg/detail/decode.hpp"
#include "launch.cuh"

namespace echoseg::cuda {
namespace {

struct Best {
    float value;
    int64_t index;
};

// Whether b precedes a: larger, or equal with a lower index. NaN is larger than any number.
__device__ inline bool better(const Best& b, const Best& a) {
    const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
    if (nan_a != nan_b) return nan_b;
    if (!nan_a && a.value != b.value) return b.value > a.value;
    return b.index < a.index;
}

// The best of the values of all threads, returned to all of them. `table` holds one element per thread.
__device__ inline Best best_of_block(Best mine, Best* table) {
    const unsigned thread = threadIdx.x;
    table[thread] = mine;
    for (unsigned left = blockDim.x; left > 1; left = (left + 1) / 2) {
        __syncthreads();
        const unsigned half = (left + 1) / 2;
        if (thread < left - half && better(table[thread + half], table[thread])) table[thread] = table[thread + half];
    }
    __syncthreads();
    return table[0];
}

struct DecodeArguments {
    const float* heatmaps;
    int64_t planes, height, width;
    DecodeMethod method;
    float window;
    float *points, *confidence;
};

__global__ void __launch_bounds__(kThreads) decode_kernel(DecodeArguments a) {
    Best* table = reinterpret_cast<Best*>(shared());
    const int64_t pixels = a.height * a.width;
    for (int64_t p = blockIdx.x; p < a.planes; p += gridDim.x) {
        const float* plane = a.heatmaps + p * pixels;
        Best best{plane[0], 0};
        for (int64_t i = threadIdx.x; i < pixels; i += blockDim.x) {
            const Best next{plane[i], i};
            if (better(next, best)) best = next;
        }
        best = best_of_block(best, table);
        if (threadIdx.x == 0) {
            const detail::Plane view{plane, a.height, a.width};
            detail::Position top{static_cast<double>(best.index % a.width), static_cast<double>(best.index / a.width)};
            if (std::isfinite(best.value)) {
                if (a.method == DecodeMethod::soft_argmax)
                    top = detail::soft_argmax(view, top, static_cast<double>(a.window));
                if (a.method == DecodeMethod::dark) top = detail::dark(view, top);
            }
            a.points[2 * p] = static_cast<float>(top.x);
            a.points[2 * p + 1] = static_cast<float>(top.y);
            a.confidence[p] = best.value;
        }
        __syncthreads();
    }
}

}  // namespace

void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window,
                     float* points, float* confidence, const Launch& launch) {
    start(launch, "decode_heatmaps", decode_kernel, planes, kThreads * static_cast<int64_t>(sizeof(Best)),
          DecodeArguments{heatmaps, planes, size.height, size.width, method, window, points, confidence});
}

}  // namespace echoseg::cuda
