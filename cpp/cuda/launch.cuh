// Kernel launches. No allocation and no synchronisation: the caller makes the device current and owns all memory.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "echoseg/device.hpp"

namespace echoseg::cuda {

constexpr int kThreads = 256;
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

// The shared memory of the block.
__device__ inline unsigned char* shared() {
    extern __shared__ uint64_t shared_memory[];
    return reinterpret_cast<unsigned char*>(shared_memory);
}

// Calls body(row, column) for each cell of a grid, adjacent columns on adjacent threads. Avoids 64-bit divisions.
template <typename Body>
__device__ inline void for_each_cell(int32_t rows, int32_t columns, const Body& body) {
    const int32_t threads = static_cast<int32_t>(blockDim.x), thread = static_cast<int32_t>(threadIdx.x);
    const int32_t lanes = columns < threads ? columns : threads, rows_at_once = threads / lanes;
    if (thread >= lanes * rows_at_once) return;
    for (int32_t column = thread % lanes; column < columns; column += lanes)
        for (int32_t row = thread / lanes; row < rows; row += rows_at_once) body(row, column);
}

}  // namespace echoseg::cuda
