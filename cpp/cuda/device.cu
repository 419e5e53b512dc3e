// Device names, from the statically linked runtime. Without a driver, counting the devices fails and the list is empty.
#include "echoseg/device.hpp"

#include <cuda_runtime_api.h>

namespace echoseg::cuda {

bool built() { return true; }

std::vector<std::string> device_names() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();  // clears the error, which later calls would report
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
