// CUDA devices, and how the CUDA implementations (namespace echoseg::cuda in each header) are called.
//
// A CUDA implementation takes pointers to memory of one device. It starts kernels on the given stream and returns: it
// neither allocates memory nor synchronises. It cannot check values before drawing: a contour or landmark that the CPU
// implementation rejects (NaN, infinite, or beyond kCoordinateLimit) draws nothing, and offsets are clamped to [0,
// number of points]. It throws std::runtime_error if a kernel cannot be started. In a build without CUDA every CUDA
// implementation throws.
#pragma once

#include <string>
#include <vector>

namespace echoseg::cuda {

// Where a CUDA implementation runs. The caller makes `device` current first.
struct Launch {
    int device;
    void* stream;     // cudaStream_t
    void* workspace;  // device memory, 16-byte aligned, of as many bytes as the kernel's *_workspace_bytes returns
};

// Whether this build has CUDA kernels.
bool built();

// Name of each CUDA device; empty without a driver, without a device, and in a build without CUDA.
std::vector<std::string> device_names();

}  // namespace echoseg::cuda
