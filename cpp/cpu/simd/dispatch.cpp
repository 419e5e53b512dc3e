// Chooses the level at the first use.
#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "echoseg/simd.hpp"
#include "row_kernels.hpp"

#if defined(ECHOSEG_X86_LEVELS)
#include <cpuid.h>
#endif

namespace echoseg::simd {
namespace {

#if defined(ECHOSEG_X86_LEVELS)
// Float16 conversions. __builtin_cpu_supports of older compilers does not accept "f16c".
bool has_f16c() {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

std::vector<const RowKernels*> available() {
    std::vector<const RowKernels*> levels = {&kRowKernelsBaseline};
#if defined(ECHOSEG_X86_LEVELS)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    if (avx2) levels.push_back(&kRowKernelsAvx2);
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        levels.push_back(&kRowKernelsAvx512);
#endif
    return levels;
}

const RowKernels& choose() {
    const std::vector<const RowKernels*> levels = available();
    const char* name = std::getenv("ECHOSEG_SIMD");
    if (name == nullptr || *name == '\0') return *levels.back();
    std::string known;
    for (const RowKernels* level : levels) {
        if (std::string(name) == level->name) return *level;
        known += known.empty() ? level->name : std::string(", ") + level->name;
    }
    throw std::invalid_argument("ECHOSEG_SIMD=" + std::string(name) +
                                " is not available here; choose one of: " + known);
}

}  // namespace

const RowKernels& row_kernels() {
    // Not a static initialiser: if the process forks while it runs, it blocks the child for ever.
    static std::atomic<const RowKernels*> chosen{nullptr};
    const RowKernels* level = chosen.load();
    if (level == nullptr) chosen.store(level = &choose());
    return *level;
}

std::string level() { return row_kernels().name; }

std::vector<std::string> available_levels() {
    std::vector<std::string> names;
    for (const RowKernels* level : available()) names.emplace_back(level->name);
    return names;
}

}  // namespace echoseg::simd
