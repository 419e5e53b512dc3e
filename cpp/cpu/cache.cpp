#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <vector>

#include "draw.hpp"
#include "simd/rows.hpp"

namespace echoseg {
namespace {

bool streaming_is_faster(size_t bytes) {
    using Clock = std::chrono::steady_clock;
    const simd::Rows& simd = simd::rows();
    std::vector<uint8_t> block(bytes);
    Clock::duration kept = Clock::duration::max(), streamed = kept;
    for (int round = 0; round < 3; ++round) {
        simd.clear_rows(block.data(), static_cast<int64_t>(bytes), 1, 0);  // what fits into the caches is there now
        const auto start = Clock::now();
        simd.clear_rows(block.data(), static_cast<int64_t>(bytes), 1, 0);
        const auto middle = Clock::now();
        simd.stream_zeros(block.data(), static_cast<int64_t>(bytes));
        simd.stream_end();
        kept = std::min(kept, middle - start);
        streamed = std::min(streamed, Clock::now() - middle);
    }
    return streamed < kept;
}

}  // namespace

bool exceeds_cache(int64_t bytes) {
    constexpr int64_t kMebibyte = int64_t{1} << 20;
    if (bytes <= 4 * kMebibyte) return false;
    if (bytes > 32 * kMebibyte) return true;
    static std::atomic<int> streams{-1};  // the language's own "once" would never come in a child forked while it was measured
    int answer = streams.load();
    if (answer < 0) streams.store(answer = streaming_is_faster(16 * kMebibyte) ? 1 : 0);
    return answer != 0;
}

}  // namespace echoseg
