#include "base/thread_rescue.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace stasis::base {
namespace {

/// A thread that works all the time.
class Worker {
 public:
  /// `cpu`: the only one that it may use. SCHED_IDLE: it runs where nobody else wants to.
  Worker(int policy, std::optional<int> cpu) {
    thread_ = std::thread([this, policy, cpu] { run(policy, cpu); });
    while (id_ == 0) ::usleep(1000);
  }
  ~Worker() {
    is_over_ = true;
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  ThreadWatch watch() {
    clockid_t clock{};
    REQUIRE(::pthread_getcpuclockid(thread_.native_handle(), &clock) == 0);
    return ThreadWatch(id_, clock);
  }
  cpu_set_t cpus() const {
    cpu_set_t cpus;
    REQUIRE(::sched_getaffinity(id_, sizeof cpus, &cpus) == 0);
    return cpus;
  }

 private:
  void run(int policy, std::optional<int> cpu) {
    if (cpu) {
      const cpu_set_t one = only_cpu(*cpu);
      ::sched_setaffinity(0, sizeof one, &one);
    }
    const sched_param none{};
    ::sched_setscheduler(0, policy, &none);
    id_ = ::gettid();
    while (!is_over_) {
    }
  }
  std::atomic<pid_t> id_{0};
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

std::shared_ptr<const ThreadWatches> watches_of(Worker& worker) {
  ThreadWatches watches;
  watches.push_back(worker.watch());
  return std::make_shared<const ThreadWatches>(std::move(watches));
}

std::vector<int> cpus_of_process() {
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &all)) cpus.push_back(cpu);
  }
  return cpus;
}

/// How often `worker` is seen on another CPU than before, until it was `enough` times or seconds
/// have passed.
int moves_of(Worker& worker, int enough) {
  const ThreadWatch watch = worker.watch();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int moves = 0;
  for (auto last = watch.cpu(); moves < enough && std::chrono::steady_clock::now() < end;) {
    ::usleep(500);
    const auto now = watch.cpu();
    if (now != last) ++moves;
    last = now;
  }
  return moves;
}

// With somebody at work on each CPU, the kernel has no reason to move one that may run last.
TEST_CASE("a thread that waits is taken elsewhere, again and again, and bound nowhere") {
  const auto cpus = cpus_of_process();
  if (cpus.size() < 2 || cpus.size() > 16) return;
  std::vector<std::unique_ptr<Worker>> others;
  others.reserve(cpus.size());
  for (const int cpu : cpus) others.push_back(std::make_unique<Worker>(SCHED_OTHER, cpu));
  Worker waiting(SCHED_IDLE, std::nullopt);
  {
    const ThreadRescue rescue(watches_of(waiting));
    CHECK(moves_of(waiting, 20) == 20);
  }
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  const cpu_set_t left = waiting.cpus();
  CHECK(CPU_EQUAL(&left, &all));
}

TEST_CASE("a thread that is bound to its CPU waits there") {
  const auto cpus = cpus_of_process();
  const Worker other(SCHED_OTHER, cpus.front());
  Worker waiting(SCHED_IDLE, cpus.front());
  const ThreadRescue rescue(watches_of(waiting));
  ::usleep(20'000);
  const cpu_set_t now = waiting.cpus();
  const cpu_set_t one = only_cpu(cpus.front());
  CHECK(CPU_EQUAL(&now, &one));
  CHECK(waiting.watch().cpu() == cpus.front());
}

TEST_CASE("a rescue of nobody, and of those that have gone, does nothing") {
  { const ThreadRescue rescue(nullptr); }
  { const ThreadRescue rescue(std::make_shared<const ThreadWatches>()); }
  std::shared_ptr<const ThreadWatches> gone;
  {
    Worker worker(SCHED_OTHER, std::nullopt);
    gone = watches_of(worker);
  }
  const ThreadRescue rescue(gone);
  ::usleep(5'000);
  CHECK_FALSE(gone->front().cpu_time());
}

}  // namespace
}  // namespace stasis::base
