// A small pool with one job at a time. Workers sleep on a condition variable; a caller that finds the pool busy does its own
// work alone, so concurrent callers never wait for each other. After fork the child starts a pool of its own: the old one's
// threads did not survive, and its locks may be held for ever.
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

constexpr int kMostThreads = 256;
constexpr int64_t kWakeNanoseconds = 50000;  // less work than this is done before another thread has woken

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
    int64_t run;  // items a turn
    int helpers;  // workers that may join
    std::atomic<int64_t> next{0};
    std::mutex failure_lock;
    std::exception_ptr failure;

    void work() {
        for (;;) {
            const int64_t begin = next.fetch_add(run);
            if (begin >= items) return;
            try {
                (*body)(begin, std::min(items, begin + run));
            } catch (...) {
                next.store(items);
                const std::lock_guard<std::mutex> hold(failure_lock);
                if (!failure) failure = std::current_exception();
            }
        }
    }
};

class Pool {
   public:
    // False where another thread's job is under way.
    bool run(Job& job) {
        const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
        if (!turn.owns_lock()) return false;
        {
            const std::lock_guard<std::mutex> hold(lock_);
            try {
                while (threads_ < job.helpers) {
                    std::thread([this] { serve(); }).detach();
                    ++threads_;
                }
            } catch (const std::system_error&) {
                // The system gives no more threads; those that are there do the work.
            }
            job_ = &job;
            places_ = std::min(job.helpers, threads_);
        }
        if (job.helpers == 1) {
            wake_.notify_one();
        } else {
            wake_.notify_all();
        }
        job.work();
        std::unique_lock<std::mutex> hold(lock_);
        places_ = 0;  // whoever has not joined by now need not
        job_ = nullptr;
        done_.wait(hold, [this] { return busy_ == 0; });
        return true;
    }

   private:
    void serve() {
        std::unique_lock<std::mutex> hold(lock_);
        for (;;) {
            wake_.wait(hold, [this] { return places_ > 0; });
            --places_;
            ++busy_;
            Job* job = job_;
            hold.unlock();
            job->work();
            hold.lock();
            if (--busy_ == 0) done_.notify_one();
        }
    }

    std::mutex turn_, lock_;
    std::condition_variable wake_, done_;
    Job* job_ = nullptr;
    int threads_ = 0, places_ = 0, busy_ = 0;
};

// Never destroyed: detached workers may outlive every static object.
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
        const long wanted = std::strtol(text, nullptr, 10);
        if (wanted > 0) return static_cast<int>(std::min<long>(wanted, kMostThreads));
    }
    return std::min(allowed_cpus(), kMostThreads);
}

void parallel_for(int64_t items, int64_t nanoseconds, int threads, const Body& body) {
    if (items <= 0) return;
    int64_t used = std::min(items, 1 + items * std::max<int64_t>(nanoseconds, 1) / kWakeNanoseconds);
    if (used > 1) used = std::min<int64_t>(used, threads > 0 ? std::min(threads, kMostThreads) : default_threads());
    if (used > 1) {
        Job job{};
        job.body = &body;
        job.items = items;
        job.run = std::max<int64_t>(1, items / (used * 8));
        job.helpers = static_cast<int>(used - 1);
        if (pool().run(job)) {
            if (job.failure) std::rethrow_exception(job.failure);
            return;
        }
    }
    body(0, items);
}

}  // namespace echoseg
