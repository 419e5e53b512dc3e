// How a kernel is started. No allocation and no synchronisation: whoever calls has made the device current and owns all memory.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "echoseg/device.hpp"

namespace echoseg::cuda {

constexpr int kThreads = 256;
constexpr int64_t kSharedBytes = 48 * 1024;       // what a block has on every device without asking for more
constexpr int64_t kMostBlocks = (1ll << 31) - 1;  // of one launch; every kernel strides over what is beyond

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw std::runtime_error(std::string("CUDA, ") + what + ": " + cudaGetErrorString(error));
}

template <typename Arguments>
void launch(const char* name, void (*kernel)(Arguments), int64_t blocks, int64_t shared_bytes, Stream stream,
            Arguments arguments) {
    if (blocks == 0) return;
    check(cudaSetDevice(stream.device), name);
    const dim3 grid(static_cast<unsigned>(std::min(blocks, kMostBlocks)));
    void* parameters[] = {&arguments};
    check(cudaLaunchKernel(kernel, grid, dim3(kThreads), parameters, static_cast<size_t>(shared_bytes),
                           static_cast<cudaStream_t>(stream.handle)),
          name);
}

// The block's shared memory, as much as the launch asked for.
__device__ inline unsigned char* shared() {
    extern __shared__ uint64_t shared_memory[];
    return reinterpret_cast<unsigned char*>(shared_memory);
}

// body(row, column) for each cell of a grid, neighbours in a row on neighbouring threads. No 64-bit division.
template <typename Body>
__device__ inline void for_each_cell(int32_t rows, int32_t columns, const Body& body) {
    const int32_t threads = static_cast<int32_t>(blockDim.x), thread = static_cast<int32_t>(threadIdx.x);
    const int32_t lanes = columns < threads ? columns : threads, rows_at_once = threads / lanes;
    if (thread >= lanes * rows_at_once) return;
    for (int32_t column = thread % lanes; column < columns; column += lanes)
        for (int32_t row = thread / lanes; row < rows; row += rows_at_once) body(row, column);
}

}  // namespace echoseg::cuda
