// Instruction-set levels: the same plain loops compiled once a level, chosen once at run time.
#pragma once

#include <string>
#include <vector>

namespace echoseg::simd {

// The level in use: $ECHOSEG_SIMD where set (an unknown or unavailable one throws std::invalid_argument), else the best available.
std::string level();

// Every level that this build has and this processor runs, slowest first.
std::vector<std::string> available_levels();

}  // namespace echoseg::simd
