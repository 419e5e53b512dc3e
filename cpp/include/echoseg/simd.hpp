// Instruction-set levels. The inner loops are compiled once for each level; the level is chosen once at run time.
#pragma once

#include <string>
#include <vector>

namespace echoseg::simd {

// The level in use: $ECHOSEG_SIMD if set (throws std::invalid_argument if it is not available), else the fastest
// available.
std::string level();

// The levels that this build contains and this processor supports, slowest first.
std::vector<std::string> available_levels();

}  // namespace echoseg::simd
