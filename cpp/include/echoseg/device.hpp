// Which devices the CUDA part can see. In a build without CUDA both answer "none".
#pragma once

#include <string>
#include <vector>

namespace echoseg::cuda {

bool built();

// One name a device; empty where there is no driver, no device, or no CUDA in this build.
std::vector<std::string> device_names();

}  // namespace echoseg::cuda
