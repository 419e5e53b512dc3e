// The CUDA entry points of a build without CUDA.
#include "echoseg/device.hpp"

namespace echoseg::cuda {

bool built() { return false; }

std::vector<std::string> device_names() { return {}; }

}  // namespace echoseg::cuda
