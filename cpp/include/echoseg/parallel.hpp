// Parallel loops over the images of a batch, on a thread pool.
#pragma once

#include <cstdint>
#include <functional>

namespace echoseg {

// $ECHOSEG_NUM_THREADS if set, else the number of CPUs that this process may use.
int default_threads();

// Calls body(begin, end) for disjoint ranges that cover [0, items). `nanoseconds` is a rough estimate of the cost of
// one item: small amounts of work run on the calling thread alone. threads = 0 stands for default_threads(). Rethrows
// an exception of the body. May be called from several threads at once (if the pool is busy, the caller runs the loop
// alone) and after fork.
void parallel_for(int64_t items, int64_t nanoseconds, int threads, const std::function<void(int64_t, int64_t)>& body);

}  // namespace echoseg
