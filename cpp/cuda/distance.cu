// The exact Euclidean distance transform in two passes, as cpp/cpu/distance.cpp tells it, but that a pixel looks for its nearest
// site by itself: outwards along its row, until the columns between alone are farther than the nearest so far. That is as many
// steps as the distance is long, neighbours in step with each other.
#include "echoseg/detail/distance.hpp"

#include "launch.cuh"

namespace echoseg::cuda {
namespace {

constexpr int64_t kSharedRow = kSharedBytes / static_cast<int64_t>(sizeof(float));
constexpr int64_t kRowBlocks = 2048;  // at most so many at once where rows wait in scratch memory

struct DistanceArguments {
    const uint8_t* masks;
    float* out;
    int64_t count, height, width;
    Spacing spacing;
    bool whole;
    float* scratch;
};

// From each pixel to the next zero of its column, in rows.
__global__ void __launch_bounds__(kThreads) column_kernel(DistanceArguments a) {
    const int64_t threads = int64_t{gridDim.x} * blockDim.x;
    for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < a.count * a.width; i += threads) {
        const int64_t first = i / a.width * a.height * a.width + i % a.width;
        float rows = HUGE_VALF;
        for (int64_t y = 0; y < a.height; ++y) {
            const int64_t at = first + y * a.width;
            rows = a.masks[at] ? rows + 1.0f : 0.0f;
            a.out[at] = rows;
        }
        for (int64_t y = a.height - 2; y >= 0; --y) {
            const int64_t at = first + y * a.width;
            rows = rows + 1.0f < a.out[at] ? rows + 1.0f : a.out[at];
            a.out[at] = rows;
        }
    }
}

// The least of site(c) + (x - c)^2 over a row; `far` where there is no site.
template <typename Square, typename Site>
__device__ inline Square least_square(int64_t x, int64_t width, const Site& site) {
    Square least = site(x);
    for (int64_t d = 1; d < width; ++d) {
        const Square away = static_cast<Square>(d) * static_cast<Square>(d);
        if (away >= least || (d > x && x + d >= width)) break;
        if (d <= x) {
            const Square here = site(x - d) + away;
            least = here < least ? here : least;
        }
        if (x + d < width) {
            const Square here = site(x + d) + away;
            least = here < least ? here : least;
        }
    }
    return least;
}

__global__ void __launch_bounds__(kThreads) row_kernel(DistanceArguments a) {
    float* waiting = a.scratch ? a.scratch + blockIdx.x * a.width : reinterpret_cast<float*>(shared());
    const double ratio = a.spacing.y / a.spacing.x;
    for (int64_t i = blockIdx.x; i < a.count * a.height; i += gridDim.x) {
        float* row = a.out + i * a.width;
        for (int64_t x = threadIdx.x; x < a.width; x += blockDim.x) waiting[x] = row[x];
        __syncthreads();
        for (int64_t x = threadIdx.x; x < a.width; x += blockDim.x) {
            double square;
            if (a.whole) {
                const int32_t least = least_square<int32_t>(x, a.width, [=](int64_t c) { return detail::whole_site(waiting[c]); });
                square = least < detail::kFarSquare ? static_cast<double>(least) : HUGE_VAL;
            } else {
                square = least_square<double>(x, a.width, [=](int64_t c) { return detail::scaled_site(waiting[c], ratio); });
            }
            row[x] = static_cast<float>(detail::distance_of(square, a.spacing.x));
        }
        __syncthreads();
    }
}

int64_t row_blocks(int64_t count, ImageSize size) {
    return size.width <= kSharedRow ? count * size.height : std::min(count * size.height, kRowBlocks);
}

}  // namespace

int64_t distance_scratch(int64_t count, ImageSize size) {
    return size.width <= kSharedRow ? 0 : row_blocks(count, size) * size.width * static_cast<int64_t>(sizeof(float));
}

void distance_transform(const uint8_t* masks, int64_t count, ImageSize size, Spacing spacing, float* out, void* scratch,
                        Stream stream) {
    const bool in_shared = size.width <= kSharedRow;
    const DistanceArguments arguments{masks, out, count, size.height, size.width, spacing, detail::whole_squares(size, spacing),
                                      in_shared ? nullptr : static_cast<float*>(scratch)};
    launch("distance_transform", column_kernel, (count * size.width + kThreads - 1) / kThreads, 0, stream, arguments);
    launch("distance_transform", row_kernel, row_blocks(count, size),
           in_shared ? size.width * static_cast<int64_t>(sizeof(float)) : 0, stream, arguments);
}

}  // namespace echoseg::cuda
