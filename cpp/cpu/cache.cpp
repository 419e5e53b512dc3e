#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "draw.hpp"
#include "simd/row_kernels.hpp"

namespace echoseg {
namespace {

bool streaming_is_faster(size_t bytes) {
    using Clock = std::chrono::steady_clock;
    const simd::RowKernels& kernels = simd::row_kernels();
    std::vector<uint8_t> block(bytes);
    Clock::duration cached = Clock::duration::max(), streamed = cached;
    for (int repeat = 0; repeat < 3; ++repeat) {
        kernels.clear_rows(block.data(), static_cast<int64_t>(bytes), 1, 0);  // fills the caches
        const auto start = Clock::now();
        kernels.clear_rows(block.data(), static_cast<int64_t>(bytes), 1, 0);
        const auto middle = Clock::now();
        kernels.stream_zeros(block.data(), static_cast<int64_t>(bytes));
        kernels.stream_end();
        cached = std::min(cached, middle - start);
        streamed = std::min(streamed, Clock::now() - middle);
    }
    return streamed < cached;
}

}  // namespace

bool exceeds_cache(int64_t bytes) {
    constexpr int64_t kMebibyte = int64_t{1} << 20;
    if (bytes <= 4 * kMebibyte) return false;
    if (bytes > 32 * kMebibyte) return true;
    // Not std::call_once or a static initialiser: if the process forks during the measurement, they block the child for
    // ever.
    static std::atomic<int> streams{-1};
    int result = streams.load();
    if (result < 0) streams.store(result = streaming_is_faster(16 * kMebibyte) ? 1 : 0);
    return result != 0;
}

}  // namespace echoseg
