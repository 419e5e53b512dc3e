// Devices, and how the CUDA twins (namespace echoseg::cuda in each header) are called.
//
// A twin takes addresses on one device and only starts kernels: it neither allocates nor waits. Nothing looks at values before
// they are drawn: a contour or a landmark that the CPU would refuse (NaN, infinite, beyond kCoordinateLimit) draws nothing, and
// offsets are cut to 0 … the number of points. A kernel that cannot be started throws std::runtime_error. In a build without
// CUDA every twin throws, and no device is seen.
#pragma once

#include <string>
#include <vector>

namespace echoseg::cuda {

// A stream of a device that the caller has made current; `handle` is a cudaStream_t.
struct Stream {
    int device;
    void* handle;
};

bool built();

// One name a device; empty where there is no driver, no device, or no CUDA in this build.
std::vector<std::string> device_names();

}  // namespace echoseg::cuda
