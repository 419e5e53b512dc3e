// What HD95, ASSD and the normalised surface Dice share: the column words of masks, and lists of the pixels of borders. A
// block measures one pair of masks at a time.
#pragma once

#include "distance.cuh"

namespace echoseg::cuda {

// The number of pairs that are measured at the same time, given the workspace of one.
inline int64_t pairs_in_progress(int64_t count, int64_t pair_bytes) {
    constexpr int64_t kMaxWorkspace = 256ll << 20, kMaxPairs = 1024;
    return std::min({count, std::max<int64_t>(kMaxWorkspace / pair_bytes, 1), kMaxPairs});
}

// The column words of a mask.
template <int kPixels>
__device__ inline void read_words(const uint8_t* mask, int32_t height, int32_t width, uint32_t* words) {
    for_each_cell((height + 31) / 32, width / kPixels, [&](int32_t group, int32_t column) {
        uint32_t read[kPixels];
        read_columns<kPixels>(mask, height, width, group, column * kPixels, read);
        for (int32_t i = 0; i < kPixels; ++i) words[int64_t{group} * width + column * kPixels + i] = read[i];
    });
}

// A word of a column; 0 outside the image.
__device__ inline uint32_t word_at(const Columns& columns, int32_t group, int32_t x) {
    return group >= 0 && group < columns.groups && x >= 0 && x < columns.width ? *columns.at(group, x) : 0u;
}

// Whether there is a pixel in a border. Must be called by the whole block.
__device__ inline bool any(const Columns& border) {
    bool found = false;
    for_each_cell(border.groups, border.width, [&](int32_t group, int32_t x) { found |= *border.at(group, x) != 0; });
    return __syncthreads_or(found);
}

// Lists the pixels of a border as y << 32 | x and returns their number. Must be called by the whole block.
__device__ inline int32_t list_pixels(const Columns& border, uint64_t* pixels, int32_t* before) {
    const int32_t threads = static_cast<int32_t>(blockDim.x), thread = static_cast<int32_t>(threadIdx.x);
    int32_t count = 0;
    for_each_cell(border.groups, border.width,
                  [&](int32_t group, int32_t x) { count += __popc(*border.at(group, x)); });
    before[thread] = count;
    for (int32_t step = 1; step < threads; step *= 2) {  // the sum over the threads up to each
        __syncthreads();
        const int32_t more = thread >= step ? before[thread - step] : 0;
        __syncthreads();
        before[thread] += more;
    }
    __syncthreads();
    uint64_t* next = pixels + before[thread] - count;
    for_each_cell(border.groups, border.width, [&](int32_t group, int32_t x) {
        for (uint32_t bits = *border.at(group, x); bits != 0; bits &= bits - 1) {
            const int32_t y = 32 * group + __ffs(static_cast<int>(bits)) - 1;
            *next++ = static_cast<uint64_t>(y) << 32 | static_cast<uint32_t>(x);
        }
    });
    const int32_t all = before[threads - 1];
    __syncthreads();
    return all;
}

// The sum of the numbers of all threads. Must be called by the whole block.
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

}  // namespace echoseg::cuda
