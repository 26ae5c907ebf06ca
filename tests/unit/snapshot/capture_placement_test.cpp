#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>

#include "base/thread_placement.h"
#include "tests/unit/snapshot/capture_fixture.h"

// Where those who write for a fork capture run, and what is done so that the pause is short.

namespace stasis::snapshot {
namespace {

/// A thread that uses one CPU all the time, as a vCPU may.
class BusyThread {
 public:
  explicit BusyThread(int cpu) {
    thread_ = std::thread([this, one = base::only_cpu(cpu)] {
      ::sched_setaffinity(0, sizeof one, &one);
      id_ = ::gettid();
      while (!is_over_) {
      }
    });
    while (id_ == 0) ::usleep(1000);
  }
  ~BusyThread() {
    is_over_ = true;
    thread_.join();
  }
  BusyThread(const BusyThread&) = delete;
  BusyThread& operator=(const BusyThread&) = delete;

  std::shared_ptr<const base::ThreadWatches> watch() const {
    base::ThreadWatches watches;
    watches.emplace_back(id_);
    return std::make_shared<const base::ThreadWatches>(std::move(watches));
  }

 private:
  std::atomic<bool> is_over_{false};
  std::atomic<pid_t> id_{0};
  std::thread thread_;
};

bool may_use(pid_t process, int cpu) {
  cpu_set_t cpus;
  return ::sched_getaffinity(process, sizeof cpus, &cpus) != 0 ||
         CPU_ISSET(static_cast<unsigned>(cpu), &cpus);
}

TEST_CASE_METHOD(Capture, "fork: whoever writes keeps off the CPUs of vCPUs that work") {
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  if (CPU_COUNT(&all) < 2) return;
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(3));
  ram.fill();
  ops.facts->hold = true;
  const int cpu = ::sched_getcpu();
  const BusyThread vcpu(cpu);
  start({Engine::kFork, level, vcpu.watch()});
  const pid_t child = ops.wait_for_writer();
  CHECK_FALSE(may_use(child, cpu));
  const auto workers = children_of(child);
  CHECK(workers.empty() == !level);
  for (const pid_t worker : workers) CHECK_FALSE(may_use(worker, cpu));
  CHECK(may_use(0, cpu));
  ops.facts->hold = false;
  CHECK(capture->finish(observer));
}

TEST_CASE_METHOD(Capture, "fork: nobody is kept off the CPUs of vCPUs that sleep") {
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  ram.fill();
  ops.facts->hold = true;
  std::atomic<pid_t> id{0};
  std::atomic<bool> is_over{false};
  std::thread vcpu([&] {
    id = ::gettid();
    id.notify_all();
    is_over.wait(false);
  });
  id.wait(0);
  while (base::ThreadWatch(id).cpu_in_use()) ::usleep(1000);
  base::ThreadWatches watches;
  watches.emplace_back(id);
  start({Engine::kFork, std::nullopt,
         std::make_shared<const base::ThreadWatches>(std::move(watches))});
  cpu_set_t now;
  REQUIRE(::sched_getaffinity(ops.wait_for_writer(), sizeof now, &now) == 0);
  CHECK(CPU_EQUAL(&now, &all));
  ops.facts->hold = false;
  CHECK(capture->finish(observer));
  is_over = true;
  is_over.notify_all();
  vcpu.join();
}

unsigned count_open_files() {
  unsigned count = 0;
  for (int fd = 0; fd < 1000; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1U : 0U;
  return count;
}

TEST_CASE_METHOD(Capture, "fork: what is done before the pause leaves nothing behind") {
  ram.fill();
  auto prepared =
      *prepare_ram_capture(scratch.open(), ram.size(), {Engine::kFork, std::nullopt}, ops);
  const unsigned before = count_open_files();
  prepared->before_pause();
  CHECK(count_open_files() == before);
  REQUIRE(prepared->capture(ram.regions(), observer));
  prepared->guest_runs();
  CHECK(prepared->finish(observer));
}

TEST_CASE_METHOD(Capture, "fork: it does without what was to be done before the pause") {
  // No descriptor is left for a pipe.
  ram.fill();
  auto prepared =
      *prepare_ram_capture(scratch.open(), ram.size(), {Engine::kFork, std::nullopt}, ops);
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit none{3, limit.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  prepared->before_pause();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  REQUIRE(prepared->capture(ram.regions(), observer));
  CHECK(prepared->finish(observer));
}

}  // namespace
}  // namespace stasis::snapshot
