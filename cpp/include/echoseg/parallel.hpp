// The thread pool: a batch is cut into runs of images, small batches stay on the calling thread.
#pragma once

#include <cstdint>
#include <functional>

namespace echoseg {

// $ECHOSEG_NUM_THREADS, else the CPUs that this process may use.
int default_threads();

// Calls body(begin, end) over disjoint runs that cover [0, items). `nanoseconds` is a rough cost of one item: no thread is
// woken for less work than waking costs. threads = 0 means default_threads(). An exception in a body is rethrown here.
// Safe from several threads at once (whoever finds the pool busy works alone) and after fork.
void parallel_for(int64_t items, int64_t nanoseconds, int threads, const std::function<void(int64_t, int64_t)>& body);

}  // namespace echoseg
