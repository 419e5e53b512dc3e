// A thread pool that runs one job at a time. Workers wait on a condition variable. A caller that finds the pool busy
// runs its job alone, so concurrent callers never wait for each other. After fork the child process creates a new pool:
// the threads of the old one do not exist in the child, and its mutexes may stay locked.
#include "echoseg/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace echoseg {
namespace {

constexpr int kMaxThreads = 256;
constexpr int64_t kWakeNanoseconds = 50000;  // about the time until another thread has woken

using Body = std::function<void(int64_t, int64_t)>;

int allowed_cpus() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

struct Job {
    const Body* body;
    int64_t items;
    int64_t chunk;    // items that a thread takes at a time
    int max_workers;  // in addition to the calling thread
    std::atomic<int64_t> next{0};
    std::mutex failure_lock;
    std::exception_ptr failure;

    void work() {
        for (;;) {
            const int64_t begin = next.fetch_add(chunk);
            if (begin >= items) return;
            try {
                (*body)(begin, std::min(items, begin + chunk));
            } catch (...) {
                next.store(items);
                const std::lock_guard<std::mutex> lock(failure_lock);
                if (!failure) failure = std::current_exception();
            }
        }
    }
};

class Pool {
   public:
    // Returns false if another job is running.
    bool run(Job& job) {
        const std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
        if (!busy.owns_lock()) return false;
        {
            const std::lock_guard<std::mutex> lock(lock_);
            try {
                while (threads_ < job.max_workers) {
                    std::thread([this] { serve(); }).detach();
                    ++threads_;
                }
            } catch (const std::system_error&) {
                // The system limits the number of threads; the existing ones do the work.
            }
            job_ = &job;
            open_ = std::min(job.max_workers, threads_);
        }
        if (job.max_workers == 1) {
            wake_.notify_one();
        } else {
            wake_.notify_all();
        }
        job.work();
        std::unique_lock<std::mutex> lock(lock_);
        open_ = 0;  // workers that wake up from now on do not join
        job_ = nullptr;
        done_.wait(lock, [this] { return working_ == 0; });
        return true;
    }

   private:
    void serve() {
        std::unique_lock<std::mutex> lock(lock_);
        for (;;) {
            wake_.wait(lock, [this] { return open_ > 0; });
            --open_;
            ++working_;
            Job* job = job_;
            lock.unlock();
            job->work();
            lock.lock();
            if (--working_ == 0) done_.notify_one();
        }
    }

    std::mutex busy_, lock_;
    std::condition_variable wake_, done_;
    Job* job_ = nullptr;
    int threads_ = 0, open_ = 0, working_ = 0;  // open_: how many workers may still join
};

// Never destroyed, since detached workers may outlive all static objects.
std::atomic<Pool*> the_pool{nullptr};
#if !defined(_WIN32)
[[maybe_unused]] const int registered = pthread_atfork(nullptr, nullptr, [] { the_pool.store(nullptr); });
#endif

Pool& pool() {
    Pool* current = the_pool.load();
    if (current == nullptr) {
        Pool* fresh = new Pool;
        if (the_pool.compare_exchange_strong(current, fresh)) return *fresh;
        delete fresh;
    }
    return *current;
}

}  // namespace

int default_threads() {
    if (const char* text = std::getenv("ECHOSEG_NUM_THREADS")) {
        const long threads = std::strtol(text, nullptr, 10);
        if (threads > 0) return static_cast<int>(std::min<long>(threads, kMaxThreads));
    }
    return std::min(allowed_cpus(), kMaxThreads);
}

void parallel_for(int64_t items, int64_t nanoseconds, int threads, const Body& body) {
    if (items <= 0) return;
    int64_t used = std::min(items, 1 + items * std::max<int64_t>(nanoseconds, 1) / kWakeNanoseconds);
    if (used > 1) used = std::min<int64_t>(used, threads > 0 ? std::min(threads, kMaxThreads) : default_threads());
    if (used > 1) {
        Job job{};
        job.body = &body;
        job.items = items;
        job.chunk = std::max<int64_t>(1, items / (used * 8));
        job.max_workers = static_cast<int>(used - 1);
        if (pool().run(job)) {
            if (job.failure) std::rethrow_exception(job.failure);
            return;
        }
    }
    body(0, items);
}

}  // namespace echoseg
