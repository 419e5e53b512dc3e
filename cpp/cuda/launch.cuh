// Kernel launches. No allocation and no synchronisation: the caller makes the device current and owns all memory.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "echoseg/detail/host_device.hpp"
#include "echoseg/device.hpp"

// Keeps a loop as it is. Its body would otherwise be copied, and fetching cold instructions takes a short kernel longer
// than a few jumps.
#if defined(__CUDACC__)
#define ECHOSEG_NO_UNROLL _Pragma("unroll 1")
#else
#define ECHOSEG_NO_UNROLL
#endif

namespace echoseg::cuda {

constexpr int kThreads = 256;
constexpr int kBlocks = 4;  // on a multiprocessor; leaves 64 registers to a thread, which the largest kernels need
constexpr int64_t kSharedBytes = 48 * 1024;      // available to a block on every device without opting in to more
constexpr int64_t kMaxBlocks = (1ll << 31) - 1;  // per launch; kernels loop over the grid for the rest

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA, ") + what + ": " + cudaGetErrorString(error));
}

template <typename Arguments>
void start(const Launch& launch, const char* name, void (*kernel)(Arguments), int64_t blocks, int64_t shared_bytes,
           Arguments arguments) {
    if (blocks == 0) return;
    check(cudaSetDevice(launch.device), name);
    const dim3 grid(static_cast<unsigned>(std::min(blocks, kMaxBlocks)));
    void* parameters[] = {&arguments};
    check(cudaLaunchKernel(kernel, grid, dim3(kThreads), parameters, static_cast<size_t>(shared_bytes),
                           static_cast<cudaStream_t>(launch.stream)),
          name);
}

ECHOSEG_HD inline bool is_aligned(const void* pointer, int64_t bytes) {
    return reinterpret_cast<uintptr_t>(pointer) % static_cast<uintptr_t>(bytes) == 0;
}

// The shared memory of the block.
__device__ inline unsigned char* shared() {
    extern __shared__ uint64_t shared_memory[];
    return reinterpret_cast<unsigned char*>(shared_memory);
}

// Starts to load an address into the cache.
__device__ inline void prefetch([[maybe_unused]] const void* address) {
#if defined(__CUDA_ARCH__)
    asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
#endif
}

// How the threads of a block share the cells of a grid: the first cell of the thread, and the steps to its next ones.
// Adjacent threads have adjacent columns. Divides once, in 32 bits.
struct Lanes {
    int32_t column, row, columns, rows;
    bool idle;

    __device__ explicit Lanes(int32_t width) {
        const uint32_t all = static_cast<uint32_t>(width), lanes = all < blockDim.x ? all : blockDim.x;
        columns = static_cast<int32_t>(lanes);
        rows = static_cast<int32_t>(blockDim.x / lanes);
        row = static_cast<int32_t>(threadIdx.x / lanes);
        column = static_cast<int32_t>(threadIdx.x % lanes);
        idle = row == rows;
    }
};

// Calls body(column, row, step) for each column that the thread shares: its rows are row, row + step, …
template <typename Body>
__device__ inline void for_each_column(const Lanes& lanes, int32_t width, const Body& body) {
    if (lanes.idle) return;
    ECHOSEG_NO_UNROLL
    for (int32_t column = lanes.column; column < width; column += lanes.columns) body(column, lanes.row, lanes.rows);
}

// Calls body(row, column) for each cell of the thread.
template <typename Body>
__device__ inline void for_each_cell(const Lanes& lanes, int32_t height, int32_t width, const Body& body) {
    for_each_column(lanes, width, [&](int32_t column, int32_t row, int32_t step) {
        ECHOSEG_NO_UNROLL
        for (; row < height; row += step) body(row, column);
    });
}

template <typename Body>
__device__ inline void for_each_cell(int32_t height, int32_t width, const Body& body) {
    for_each_cell(Lanes(width), height, width, body);
}

}  // namespace echoseg::cuda
