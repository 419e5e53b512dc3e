// Replaces the parts of CUDA's header that cpp/cuda/*.cu use, so that the host's compiler accepts these files unchanged
// and the kernels run without a GPU. Each thread of a block is a fiber, and __syncthreads() switches to the next one.
// To reveal errors that depend on scheduling:
//  - threads run in a different random order after every barrier, blocks run in random order, and blocks may have fewer
//    threads than requested;
//  - shared memory initially holds arbitrary values, and accesses beyond the requested size are errors
//    (AddressSanitizer);
//  - a barrier that is not reached by all threads of the block is an error;
//  - for ThreadSanitizer only barriers and atomics order the fibers, so it reports the races that compute-sanitizer's
//    racecheck reports.
#pragma once

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(...)

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned width = 1, unsigned height = 1, unsigned depth = 1) : x(width), y(height), z(depth) {}
};

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9 };
using cudaStream_t = void*;

inline const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : "invalid configuration argument";
}
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }

namespace cuda_on_host {

constexpr size_t kSharedBytes = 48 * 1024, kStackBytes = 256 * 1024;
constexpr unsigned kMaxThreads = 1024;

// For the scheduler's own data, which ThreadSanitizer must not check.
#if defined(__SANITIZE_THREAD__)
#define ECHOSEG_NO_TSAN __attribute__((noinline, no_sanitize("thread")))
#else
#define ECHOSEG_NO_TSAN
#endif

struct Fiber {
    ucontext_t context;
    char* stack = nullptr;
    bool done = false;
#if defined(__SANITIZE_THREAD__)
    void* tsan = nullptr;
#endif
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack = nullptr;
#endif
};

struct Machine {
    std::mt19937 random{7};
    dim3 block_index, block_size, grid_size;
    unsigned thread = 0;
    Fiber fibers[kMaxThreads];
    ucontext_t scheduler;
    std::function<void()> body;
    int any = 0, any_before = 0;  // __syncthreads_or
    int phase = 0;
    char order[2];  // their addresses represent the barriers, alternately
#if defined(__SANITIZE_THREAD__)
    void* tsan = nullptr;
#endif
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack = nullptr;
    const void* stack = nullptr;
    size_t stack_size = 0;
#endif
};

inline Machine& machine() {
    static Machine instance;
    return instance;
}

ECHOSEG_NO_TSAN inline dim3 thread_index() { return {machine().thread, 0, 0}; }

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "cuda_on_host: %s\n", what);
    std::abort();
}

ECHOSEG_NO_TSAN inline void arrive(Machine& m) {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(&m.order[m.phase % 2]);
#endif
    (void)m;
}

ECHOSEG_NO_TSAN inline void leave(Machine& m) {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(&m.order[(m.phase + 1) % 2]);
#endif
    (void)m;
}

// From a fiber back to the scheduler.
ECHOSEG_NO_TSAN inline void to_scheduler(Fiber& fiber) {
    Machine& m = machine();
    arrive(m);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fiber.done ? nullptr : &fiber.fake_stack, m.stack, m.stack_size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(m.tsan, 1);
#endif
    swapcontext(&fiber.context, &m.scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
#endif
    leave(m);
}

ECHOSEG_NO_TSAN inline void fiber_main() {
    Machine& m = machine();
    Fiber& fiber = m.fibers[m.thread];
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &m.stack, &m.stack_size);
#endif
    leave(m);
    m.body();
    fiber.done = true;
    to_scheduler(fiber);
}

inline void start(Fiber& fiber) {
    if (!fiber.stack)
        fiber.stack =
            static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (fiber.stack == MAP_FAILED) fail("out of memory for the stack of a thread");
    getcontext(&fiber.context);
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(fiber.stack, kStackBytes);  // frames of an earlier thread
#endif
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    fiber.done = false;
    makecontext(&fiber.context, fiber_main, 0);
#if defined(__SANITIZE_THREAD__)
    fiber.tsan = __tsan_create_fiber(0);
#endif
}

inline void to_fiber(Fiber& fiber) {
    Machine& m = machine();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&m.fake_stack, fiber.stack, kStackBytes);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(fiber.tsan, 1);
#endif
    swapcontext(&m.scheduler, &fiber.context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(m.fake_stack, nullptr, nullptr);
#endif
}

ECHOSEG_NO_TSAN inline void set_thread(Machine& m, unsigned thread) { m.thread = thread; }

inline void run_block(unsigned threads) {
    Machine& m = machine();
#if defined(__SANITIZE_THREAD__)
    m.tsan = __tsan_get_current_fiber();
#endif
    for (unsigned i = 0; i < threads; ++i) start(m.fibers[i]);
    std::vector<unsigned> order(threads);
    std::iota(order.begin(), order.end(), 0u);
    for (unsigned done = 0; done < threads;) {
        std::shuffle(order.begin(), order.end(), m.random);
        arrive(m);  // orders the work of the host before the threads
        ++m.phase;
        for (const unsigned i : order) {
            set_thread(m, i);
            to_fiber(m.fibers[i]);
            done += m.fibers[i].done;
        }
        ++m.phase;
        leave(m);
        if (done != 0 && done != threads) fail("a barrier was not reached by all threads of the block");
        m.any_before = m.any;
        m.any = 0;
    }
#if defined(__SANITIZE_THREAD__)
    for (unsigned i = 0; i < threads; ++i) __tsan_destroy_fiber(m.fibers[i].tsan);
#endif
}

}  // namespace cuda_on_host

#define threadIdx (cuda_on_host::thread_index())
#define blockIdx (cuda_on_host::machine().block_index)
#define blockDim (cuda_on_host::machine().block_size)
#define gridDim (cuda_on_host::machine().grid_size)

inline void __syncthreads() {
    cuda_on_host::Machine& m = cuda_on_host::machine();
    cuda_on_host::to_scheduler(m.fibers[threadIdx.x]);
}

inline int __syncthreads_or(int predicate) {
    __atomic_fetch_or(&cuda_on_host::machine().any, predicate != 0, __ATOMIC_RELAXED);
    __syncthreads();
    return cuda_on_host::machine().any_before;
}

inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value)); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int atomicAdd(int* address, int value) { return __atomic_fetch_add(address, value, __ATOMIC_RELAXED); }
inline unsigned atomicXor(unsigned* address, unsigned value) {
    return __atomic_fetch_xor(address, value, __ATOMIC_RELAXED);
}
inline unsigned atomicOr(unsigned* address, unsigned value) {
    return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}

// Declared `extern __shared__` in cpp/cuda/launch.cuh and defined by cuda_driver.cpp.
namespace echoseg::cuda {
extern uint64_t shared_memory[];
}

template <typename Argument>
cudaError_t cudaLaunchKernel(void (*kernel)(Argument), dim3 grid, dim3 block, void** arguments, size_t shared,
                             cudaStream_t) {
    using namespace cuda_on_host;
    if (grid.x == 0 || grid.x > INT32_MAX || block.x == 0 || block.x > kMaxThreads || shared > kSharedBytes)
        return cudaErrorInvalidConfiguration;
    Machine& m = machine();
    auto* memory = reinterpret_cast<unsigned char*>(echoseg::cuda::shared_memory);
    const unsigned block_sizes[] = {1, 3, 32, 45, block.x};
    m.grid_size = grid;
    m.block_size = std::min(block_sizes[m.random() % 5], block.x);
    std::vector<unsigned> blocks(grid.x);
    std::iota(blocks.begin(), blocks.end(), 0u);
    std::shuffle(blocks.begin(), blocks.end(), m.random);
    for (const unsigned block_index : blocks) {
        m.block_index = block_index;
#if defined(__SANITIZE_ADDRESS__)
        ASAN_UNPOISON_MEMORY_REGION(memory, kSharedBytes);
#endif
        std::memset(memory, static_cast<int>(m.random() % 256), kSharedBytes);
#if defined(__SANITIZE_ADDRESS__)
        ASAN_POISON_MEMORY_REGION(memory + shared, kSharedBytes - shared);
#endif
        m.body = [&] { kernel(*static_cast<Argument*>(arguments[0])); };
        run_block(m.block_size.x);
    }
    return cudaSuccess;
}
