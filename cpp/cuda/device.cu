// Device names by the statically linked runtime: where no driver is installed, the count fails and the list is empty.
#include "echoseg/device.hpp"

#include <cuda_runtime_api.h>

namespace echoseg::cuda {

bool built() { return true; }

std::vector<std::string> device_names() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();  // a missing driver is no error of a later call
        return {};
    }
    std::vector<std::string> names;
    for (int device = 0; device < count; ++device) {
        cudaDeviceProp properties;
        if (cudaGetDeviceProperties(&properties, device) == cudaSuccess) names.emplace_back(properties.name);
    }
    return names;
}

}  // namespace echoseg::cuda
