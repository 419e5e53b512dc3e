// Distances between the borders of two masks (HD95: Huttenlocher et al. 1993, ASSD: Heimann et al. 2009), one block per
// pair. The passes are those of the distance transform, with the border pixels of the other mask as sites, and the
// second pass is limited to the border pixels. The distances are stored in the workspace in an undefined order, which
// does not affect the result: each thread sums its own distances in image order, and percentiles are found by counting.
#include <cstring>

#include "distance.cuh"

namespace echoseg::cuda {
namespace {

constexpr int64_t kPixelBytes = sizeof(uint64_t) + sizeof(float);
constexpr int64_t kMaxWorkspace = 256ll << 20,
                  kMaxPairs = 1024;  // limits of the pairs in progress, which are at least one

struct SurfaceArguments {
    const uint8_t *predicted, *true_masks;
    int64_t count;
    int32_t height, width;
    Metric metric;
    double *hd95, *assd;
    uint64_t*
        values;  // workspace: for each block the bits of the distances, then for each block the rows of the first pass
};

struct Shared {
    double sums[kThreads];
    int32_t counts[64];
    int32_t found;
};

// Whether a pixel is foreground and one of its four neighbours is background or outside the image.
__device__ inline bool is_border(const SurfaceArguments& a, const uint8_t* mask, int64_t y, int64_t x) {
    const uint8_t* pixel = mask + y * a.width + x;
    if (*pixel == 0) return false;
    if (y == 0 || x == 0 || y + 1 == a.height || x + 1 == a.width) return true;
    return !(pixel[-1] && pixel[1] && pixel[-a.width] && pixel[a.width]);
}

__device__ inline double sum_of_block(double mine, double* sums) {
    const unsigned thread = threadIdx.x;
    sums[thread] = mine;
    for (unsigned left = blockDim.x; left > 1; left = (left + 1) / 2) {
        __syncthreads();
        const unsigned half = (left + 1) / 2;
        if (thread < left - half) sums[thread] += sums[thread + half];
    }
    __syncthreads();
    return sums[0];
}

// The value of a rank, counted from 0, found bit by bit as the largest value that at most `rank` values are below. The
// bits of non-negative numbers have the same order as the numbers.
__device__ inline double value_of_rank(const uint64_t* values, int32_t count, int64_t rank, int32_t* counts) {
    __syncthreads();
    for (unsigned i = threadIdx.x; i < 64; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    uint64_t bits = 0;
    for (int bit = 62; bit >= 0; --bit) {
        const uint64_t next = bits | uint64_t{1} << bit;
        int32_t below = 0;
        for (int64_t i = threadIdx.x; i < count; i += blockDim.x) below += values[i] < next;
        if (below > 0) atomicAdd(counts + bit, below);
        __syncthreads();
        if (counts[bit] <= rank) bits = next;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// Distances from the border pixels of one mask to the border of the other.
struct Directed {
    bool any;  // whether the other mask has a border; if not, the other members are unset
    int32_t count;
    double sum, percentile_95;
};

__device__ inline Directed measure(const SurfaceArguments& a, const uint8_t* from, const uint8_t* to, uint64_t* values,
                                   float* rows, Shared& own) {
    bool any = false;
    for (int64_t x = threadIdx.x; x < a.width; x += blockDim.x)
        any |= column_distances(a.height, a.width, [&](int64_t y) { return is_border(a, to, y, x); }, rows + x);
    if (threadIdx.x == 0) own.found = 0;
    if (!__syncthreads_or(any)) return {false, 0, 0.0, 0.0};

    double sum = 0.0;
    for_each_cell(a.height, a.width, [&](int32_t y, int32_t x) {
        if (!is_border(a, from, y, x)) return;
        const double distance = nearest_site(rows + int64_t{y} * a.width, x, a.width, a.metric);
        sum += distance;
        memcpy(values + atomicAdd(&own.found, 1), &distance, sizeof distance);
    });
    sum = sum_of_block(sum, own.sums);
    const int32_t count = own.found;
    const detail::Rank rank = detail::rank_95(count);
    const double low = value_of_rank(values, count, rank.low, own.counts);
    const double high = rank.low + 1 < count ? value_of_rank(values, count, rank.low + 1, own.counts) : low;
    return {true, count, sum, detail::interpolate(low, high, rank)};
}

__global__ void __launch_bounds__(kThreads) surface_kernel(SurfaceArguments a) {
    Shared& own = *reinterpret_cast<Shared*>(shared());
    const int64_t pixels = int64_t{a.height} * a.width;
    uint64_t* values = a.values + blockIdx.x * pixels;
    float* rows = reinterpret_cast<float*>(a.values + gridDim.x * pixels) + blockIdx.x * pixels;
    for (int64_t i = blockIdx.x; i < a.count; i += gridDim.x) {
        const uint8_t *predicted = a.predicted + i * pixels, *true_mask = a.true_masks + i * pixels;
        const Directed there = measure(a, predicted, true_mask, values, rows, own);
        const Directed back = measure(a, true_mask, predicted, values, rows, own);
        if (threadIdx.x != 0) continue;
        if (there.any && back.any) {
            a.hd95[i] = there.percentile_95 > back.percentile_95 ? there.percentile_95 : back.percentile_95;
            a.assd[i] = (there.sum + back.sum) / static_cast<double>(int64_t{there.count} + back.count);
        } else {
            a.hd95[i] = a.assd[i] = there.any || back.any ? HUGE_VAL : 0.0;
        }
    }
}

int64_t pairs_in_progress(int64_t count, ImageSize size) {
    const int64_t fitting = std::max<int64_t>(kMaxWorkspace / (size.pixels() * kPixelBytes), 1);
    return std::min({count, fitting, kMaxPairs});
}

}  // namespace

int64_t surface_workspace_bytes(int64_t count, ImageSize size) {
    return pairs_in_progress(count, size) * size.pixels() * kPixelBytes;
}

void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                       Spacing spacing, double* hd95, double* assd, const Launch& launch) {
    start(launch, "surface_distances", surface_kernel, pairs_in_progress(count, size),
          static_cast<int64_t>(sizeof(Shared)),
          SurfaceArguments{predicted, true_masks, count, static_cast<int32_t>(size.height),
                           static_cast<int32_t>(size.width), metric_of(size, spacing), hd95, assd,
                           static_cast<uint64_t*>(launch.workspace)});
}

}  // namespace echoseg::cuda
