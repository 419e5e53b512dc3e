// Chooses the level once, at the first use.
#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "echoseg/simd.hpp"
#include "rows.hpp"

#if defined(ECHOSEG_X86_LEVELS)
#include <cpuid.h>
#endif

namespace echoseg::simd {
namespace {

#if defined(ECHOSEG_X86_LEVELS)
// Float16 conversions, of which __builtin_cpu_supports of older compilers does not know.
bool has_f16c() {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

std::vector<const Rows*> available() {
    std::vector<const Rows*> levels = {&kRowsBaseline};
#if defined(ECHOSEG_X86_LEVELS)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
    if (avx2) levels.push_back(&kRowsAvx2);
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        levels.push_back(&kRowsAvx512);
#endif
    return levels;
}

const Rows& choose() {
    const std::vector<const Rows*> levels = available();
    const char* wanted = std::getenv("ECHOSEG_SIMD");
    if (wanted == nullptr || *wanted == '\0') return *levels.back();
    std::string known;
    for (const Rows* rows : levels) {
        if (std::string(wanted) == rows->name) return *rows;
        known += known.empty() ? rows->name : std::string(", ") + rows->name;
    }
    throw std::invalid_argument("ECHOSEG_SIMD=" + std::string(wanted) + " is not available here; choose one of: " + known);
}

}  // namespace

const Rows& rows() {
    static std::atomic<const Rows*> chosen{nullptr};  // a child forked while a static was made would wait for it for ever
    const Rows* rows = chosen.load();
    if (rows == nullptr) chosen.store(rows = &choose());
    return *rows;
}

std::string level() { return rows().name; }

std::vector<std::string> available_levels() {
    std::vector<std::string> names;
    for (const Rows* rows : available()) names.emplace_back(rows->name);
    return names;
}

}  // namespace echoseg::simd
