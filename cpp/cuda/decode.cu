// The first maximum of each plane: one block a plane, each thread over every so-many-th value, then a tree in shared memory. One
// thread then looks about it (detail/decode.hpp): a hundred pixels are not worth more.
#include "echoseg/decode.hpp"

#include <cmath>

#include "echoseg/detail/decode.hpp"
#include "launch.cuh"

namespace echoseg::cuda {
namespace {

struct Best {
    float value;
    int64_t at;
};

// Whether b comes before a: larger, or as large and earlier. A NaN is larger than all.
__device__ inline bool better(const Best& b, const Best& a) {
    const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
    if (nan_a != nan_b) return nan_b;
    if (!nan_a && a.value != b.value) return b.value > a.value;
    return b.at < a.at;
}

// The block's best of what each thread found, known to all of them. `table` holds one for each thread.
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
            detail::Place place{static_cast<double>(best.at % a.width), static_cast<double>(best.at / a.width)};
            if (std::isfinite(best.value)) {
                if (a.method == DecodeMethod::soft_argmax) place = detail::soft_argmax(view, place, static_cast<double>(a.window));
                if (a.method == DecodeMethod::dark) place = detail::dark(view, place);
            }
            a.points[2 * p] = static_cast<float>(place.x);
            a.points[2 * p + 1] = static_cast<float>(place.y);
            a.confidence[p] = best.value;
        }
        __syncthreads();
    }
}

}  // namespace

void decode_heatmaps(const float* heatmaps, int64_t planes, ImageSize size, DecodeMethod method, float window, float* points,
                     float* confidence, Stream stream) {
    launch("decode_heatmaps", decode_kernel, planes, kThreads * static_cast<int64_t>(sizeof(Best)), stream,
           DecodeArguments{heatmaps, planes, size.height, size.width, method, window, points, confidence});
}

}  // namespace echoseg::cuda
