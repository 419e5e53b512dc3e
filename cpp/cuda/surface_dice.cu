// The normalised surface Dice of two masks (Nikolov et al. 2021) on the grid of their pixels' corners
// (detail/contour.hpp), one block per pair. The contours are found in column words of corners and listed. Each corner of
// a list then searches the other contour's column words outwards, as far as the tolerance reaches.
#include "border.cuh"
#include "echoseg/detail/contour.hpp"

namespace echoseg::cuda {
namespace {

struct DiceArguments {
    const uint8_t *predicted, *true_masks;
    int64_t count;
    int32_t height, width;
    detail::Tolerance tolerance;
    int32_t rows, columns;  // that the tolerance includes in one column and in one row
    double* nsd;
    uint64_t* workspace;  // of each block: a value for each corner, then the column words of two masks and two contours
};

struct Shared {
    double sums[kThreads];
    int32_t before[kThreads];
};

// The corners of word `group` of column x of the grid, between columns x - 1 and x of the mask.
__device__ inline detail::Corners<uint32_t> corners_at(const Columns& mask, int32_t group, int32_t x) {
    const uint32_t left = word_at(mask, group, x - 1), right = word_at(mask, group, x);
    return detail::corners_between(left << 1 | word_at(mask, group - 1, x - 1) >> 31,
                                   right << 1 | word_at(mask, group - 1, x) >> 31, left, right);
}

__device__ inline void find_contour(const Columns& mask, int32_t groups, int32_t width, uint32_t* contour) {
    for_each_cell(groups, width, [&](int32_t group, int32_t x) {
        contour[int64_t{group} * width + x] = corners_at(mask, group, x).all();
    });
}

// Whether a site is within the tolerance of (x, y). A column whose site is as many rows away as one nearer to x is not
// nearer.
__device__ inline bool is_near(const Columns& sites, int32_t x, int32_t y, const DiceArguments& a) {
    int32_t rows = a.rows + 1;
    for (int32_t d = 0; d <= a.columns; ++d) {
        const int32_t nearer = rows;
        if (d <= x) rows = sites.rows_to_site(x - d, y, rows);
        if (x + d < sites.width) rows = sites.rows_to_site(x + d, y, rows);
        if (rows < nearer && a.tolerance.includes(rows, d)) return true;
    }
    return false;
}

// The sum over all threads. It is exact, since the numbers are whole.
__device__ inline double length_of_block(const detail::ContourLength& mine, Spacing spacing, double* sums) {
    detail::ContourLength all;
    const auto add = [&](int64_t part, int64_t& to) {
        to = static_cast<int64_t>(sum_of_block(static_cast<double>(part), sums));
        __syncthreads();
    };
    add(mine.halves, all.halves);
    add(mine.columns, all.columns);
    add(mine.rows, all.rows);
    return all.in(spacing);
}

template <int kPixels>
__global__ void __launch_bounds__(kThreads, kBlocks) dice_kernel(DiceArguments a) {
    Shared& own = *reinterpret_cast<Shared*>(shared());
    const int32_t width = a.width + 1, groups = (a.height + 32) / 32;  // of the grid
    const int64_t pixels = int64_t{a.height} * a.width, corners = (int64_t{a.height} + 1) * width;
    const int32_t mask_groups = (a.height + 31) / 32;
    const int64_t mask_words = int64_t{mask_groups} * a.width, grid_words = int64_t{groups} * width;
    const int64_t words = 2 * (mask_words + grid_words);
    uint64_t* list = a.workspace + blockIdx.x * (corners + (words + 1) / 2);
    uint32_t* masks = reinterpret_cast<uint32_t*>(list + corners);
    uint32_t* contours = masks + 2 * mask_words;
    const auto mask = [&](int side) { return Columns{masks + side * mask_words, mask_groups, a.width}; };
    const auto contour = [&](int side) { return Columns{contours + side * grid_words, groups, width}; };
    for (int64_t i = blockIdx.x; i < a.count; i += gridDim.x) {
        read_words<kPixels>(a.predicted + i * pixels, a.height, a.width, masks);
        read_words<kPixels>(a.true_masks + i * pixels, a.height, a.width, masks + mask_words);
        __syncthreads();
        find_contour(mask(0), groups, width, contours);
        find_contour(mask(1), groups, width, contours + grid_words);
        __syncthreads();
        const bool some = any(contour(0)), others = any(contour(1));
        double nsd = some != others ? 0.0 : static_cast<double>(NAN);
        if (some && others) {
            detail::ContourLength all, near;
            ECHOSEG_NO_UNROLL
            for (int side = 0; side < 2; ++side) {
                const int32_t count = list_pixels(contour(side), list, own.before);
                for (int32_t c = static_cast<int32_t>(threadIdx.x); c < count; c += static_cast<int32_t>(blockDim.x)) {
                    const auto x = static_cast<int32_t>(list[c]), y = static_cast<int32_t>(list[c] >> 32);
                    const detail::Corners<uint32_t> here = corners_at(mask(side), y / 32, x);
                    all.add(here, y % 32);
                    if (is_near(contour(1 - side), x, y, a)) near.add(here, y % 32);
                }
                __syncthreads();
            }
            const Spacing spacing = a.tolerance.spacing;
            nsd = length_of_block(near, spacing, own.sums) / length_of_block(all, spacing, own.sums);
        }
        if (threadIdx.x == 0) a.nsd[i] = nsd;
        __syncthreads();
    }
}

int64_t pair_bytes(ImageSize size) {
    const ImageSize grid = detail::corner_grid(size);
    const int64_t words = 2 * (column_words(size) + column_words(grid));
    return (grid.pixels() + (words + 1) / 2) * static_cast<int64_t>(sizeof(uint64_t));
}

}  // namespace

int64_t surface_dice_workspace_bytes(int64_t count, ImageSize size) {
    return pairs_in_progress(count, pair_bytes(size)) * pair_bytes(size);
}

void normalized_surface_dice(const uint8_t* predicted, const uint8_t* true_masks, int64_t count, ImageSize size,
                             Spacing spacing, double tolerance, double* nsd, const Launch& launch) {
    const int32_t height = static_cast<int32_t>(size.height), width = static_cast<int32_t>(size.width);
    const bool four = width % 4 == 0 && is_aligned(predicted, 4) && is_aligned(true_masks, 4);
    const detail::Tolerance within{tolerance, spacing};
    start(launch, "normalized_surface_dice", four ? dice_kernel<4> : dice_kernel<1>,
          pairs_in_progress(count, pair_bytes(size)), static_cast<int64_t>(sizeof(Shared)),
          DiceArguments{
              predicted, true_masks, count, height, width, within, static_cast<int32_t>(within.rows_at(0, height)),
              static_cast<int32_t>(within.columns_at(0, width)), nsd, static_cast<uint64_t*>(launch.workspace)});
}

}  // namespace echoseg::cuda
