// Distances between the borders of two masks (HD95: Huttenlocher et al. 1993, ASSD: Heimann et al. 2009), one block per
// pair. The borders are found in column words, and listed in an order that does not depend on the scheduling. Each pixel
// of a list then searches its nearest site among the column words of the other border. Each thread sums its own
// distances, and percentiles are found by counting.
#include <cstring>

#include "border.cuh"

namespace echoseg::cuda {
namespace {

struct SurfaceArguments {
    const uint8_t *predicted, *true_masks;
    int64_t count;
    int32_t height, width, groups;
    Metric metric;
    double *hd95, *assd;
    uint64_t* workspace;  // of each block: a value for each pixel, then the column words of two masks and two borders
};

struct Shared {
    double sums[kThreads];
    int32_t before[kThreads];
    int32_t counts[64];
};

// Border pixels: foreground with a background pixel or the image's edge among the four neighbours.
__device__ inline void find_border(const Columns& mask, uint32_t* border) {
    const auto at = [&](int32_t group, int32_t x) { return word_at(mask, group, x); };
    for_each_cell(mask.groups, mask.width, [&](int32_t group, int32_t x) {
        const uint32_t here = at(group, x), above = here << 1 | at(group - 1, x) >> 31,
                       below = here >> 1 | at(group + 1, x) << 31;
        border[int64_t{group} * mask.width + x] = here & ~(at(group, x - 1) & at(group, x + 1) & above & below);
    });
}

// The distance from (x, y) to the nearest site. Searches outwards from x and stops when (columns between)^2 alone is not
// smaller. A column whose site is as many rows away as one nearer to x is not better.
template <typename Square>
__device__ inline double nearest_site(const Columns& sites, int32_t x, int32_t y, const Metric& metric) {
    Square least = Squares<Square>::kNone;
    int32_t rows = kNoRows;
    for (int32_t d = 0; d < sites.width; ++d) {
        const Square away = static_cast<Square>(d) * static_cast<Square>(d);
        if (away >= least) break;
        const int32_t nearer = rows;
        if (d <= x) rows = sites.rows_to_site(x - d, y, rows);
        if (x + d < sites.width) rows = sites.rows_to_site(x + d, y, rows);
        if (rows == nearer) continue;
        const Square here = site_square<Square>(rows, metric) + away;
        least = here < least ? here : least;
    }
    return distance_of(least, metric);
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
    int32_t count;
    double sum, percentile_95;
};

// Neither border may be empty.
template <typename Square>
__device__ inline Directed measure(const SurfaceArguments& a, const Columns& from, const Columns& to, uint64_t* values,
                                   Shared& own) {
    const int32_t count = list_pixels(from, values, own.before);
    double sum = 0.0;
    for (int32_t i = static_cast<int32_t>(threadIdx.x); i < count; i += static_cast<int32_t>(blockDim.x)) {
        const auto x = static_cast<int32_t>(values[i]), y = static_cast<int32_t>(values[i] >> 32);
        const double distance = nearest_site<Square>(to, x, y, a.metric);
        sum += distance;
        memcpy(values + i, &distance, sizeof distance);
    }
    sum = sum_of_block(sum, own.sums);
    const detail::Rank rank = detail::rank_95(count);
    const double low = value_of_rank(values, count, rank.low, own.counts);
    const double high = rank.low + 1 < count ? value_of_rank(values, count, rank.low + 1, own.counts) : low;
    return {count, sum, detail::interpolate(low, high, rank)};
}

template <typename Square, int kPixels>
__global__ void __launch_bounds__(kThreads, kBlocks) surface_kernel(SurfaceArguments a) {
    Shared& own = *reinterpret_cast<Shared*>(shared());
    const int64_t pixels = int64_t{a.height} * a.width, words = int64_t{a.groups} * a.width;
    uint64_t* values = a.workspace + blockIdx.x * (pixels + 2 * words);
    uint32_t* masks = reinterpret_cast<uint32_t*>(values + pixels);
    uint32_t* borders = masks + 2 * words;
    const Columns predicted{borders, a.groups, a.width}, true_border{borders + words, a.groups, a.width};
    for (int64_t i = blockIdx.x; i < a.count; i += gridDim.x) {
        read_words<kPixels>(a.predicted + i * pixels, a.height, a.width, masks);
        read_words<kPixels>(a.true_masks + i * pixels, a.height, a.width, masks + words);
        __syncthreads();
        find_border({masks, a.groups, a.width}, borders);
        find_border({masks + words, a.groups, a.width}, borders + words);
        __syncthreads();
        const bool some = any(predicted), others = any(true_border);
        double hd95 = some != others ? HUGE_VAL : 0.0, assd = hd95;
        if (some && others) {
            const Directed there = measure<Square>(a, predicted, true_border, values, own);
            const Directed back = measure<Square>(a, true_border, predicted, values, own);
            hd95 = there.percentile_95 > back.percentile_95 ? there.percentile_95 : back.percentile_95;
            assd = (there.sum + back.sum) / static_cast<double>(int64_t{there.count} + back.count);
        }
        if (threadIdx.x == 0) {
            a.hd95[i] = hd95;
            a.assd[i] = assd;
        }
        __syncthreads();
    }
}

int64_t pair_bytes(ImageSize size) {
    return size.pixels() * static_cast<int64_t>(sizeof(uint64_t)) +
           4 * column_words(size) * static_cast<int64_t>(sizeof(uint32_t));
}

template <typename Square>
auto kernel_of(bool four) {
    return four ? surface_kernel<Square, 4> : surface_kernel<Square, 1>;
}

}  // namespace

int64_t surface_workspace_bytes(int64_t count, ImageSize size) {
    return pairs_in_progress(count, pair_bytes(size)) * pair_bytes(size);
}

void surface_distances(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                       Spacing spacing, double* hd95, double* assd, const Launch& launch) {
    const int32_t height = static_cast<int32_t>(size.height), width = static_cast<int32_t>(size.width);
    const bool four = width % 4 == 0 && is_aligned(predicted, 4) && is_aligned(true_masks, 4);
    start(launch, "surface_distances",
          detail::has_whole_squares(size, spacing) ? kernel_of<int32_t>(four) : kernel_of<double>(four),
          pairs_in_progress(count, pair_bytes(size)), static_cast<int64_t>(sizeof(Shared)),
          SurfaceArguments{predicted, true_masks, count, height, width, (height + 31) / 32, metric_of(spacing), hd95,
                           assd, static_cast<uint64_t*>(launch.workspace)});
}

}  // namespace echoseg::cuda
