// The exact Euclidean distance transform in the two passes of cpp/cpu/distance.cpp. In the second pass each pixel
// searches its nearest site separately, outwards along its row. The number of steps is about the distance, which is
// similar for adjacent pixels.
#include "distance.cuh"

namespace echoseg::cuda {
namespace {

constexpr int64_t kSharedRow = kSharedBytes / static_cast<int64_t>(sizeof(float));
constexpr int64_t kRowBlocks = 2048;  // maximum if the workspace is used

struct DistanceArguments {
    const uint8_t* masks;
    float* out;
    int64_t count, height, width;
    Metric metric;
    float* workspace;
};

__global__ void __launch_bounds__(kThreads) column_kernel(DistanceArguments a) {
    const int64_t threads = int64_t{gridDim.x} * blockDim.x;
    for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.count * a.width; i += threads) {
        const int64_t first = i / a.width * a.height * a.width + i % a.width;
        const uint8_t* mask = a.masks + first;
        column_distances(a.height, a.width, [=](int64_t y) { return mask[y * a.width] == 0; }, a.out + first);
    }
}

__global__ void __launch_bounds__(kThreads) row_kernel(DistanceArguments a) {
    float* copy = a.workspace ? a.workspace + blockIdx.x * a.width : reinterpret_cast<float*>(shared());
    for (int64_t i = blockIdx.x; i < a.count * a.height; i += gridDim.x) {
        float* row = a.out + i * a.width;
        for (int64_t x = threadIdx.x; x < a.width; x += blockDim.x) copy[x] = row[x];
        __syncthreads();
        for (int64_t x = threadIdx.x; x < a.width; x += blockDim.x)
            row[x] = static_cast<float>(nearest_site(copy, x, a.width, a.metric));
        __syncthreads();
    }
}

int64_t row_blocks(int64_t count, ImageSize size) {
    return size.width <= kSharedRow ? count * size.height : std::min(count * size.height, kRowBlocks);
}

}  // namespace

int64_t distance_workspace_bytes(int64_t count, ImageSize size) {
    return size.width <= kSharedRow ? 0 : row_blocks(count, size) * size.width * static_cast<int64_t>(sizeof(float));
}

void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out,
                        const Launch& launch) {
    const bool in_shared = size.width <= kSharedRow;
    float* workspace = in_shared ? nullptr : static_cast<float*>(launch.workspace);
    const DistanceArguments arguments{masks, out, count, size.height, size.width, metric_of(size, spacing), workspace};
    start(launch, "distance_transform", column_kernel, (count * size.width + kThreads - 1) / kThreads, 0, arguments);
    start(launch, "distance_transform", row_kernel, row_blocks(count, size),
          in_shared ? size.width * static_cast<int64_t>(sizeof(float)) : 0, arguments);
}

}  // namespace echoseg::cuda
