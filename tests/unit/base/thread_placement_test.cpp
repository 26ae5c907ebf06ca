#include "base/thread_placement.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>

namespace stasis::base {
namespace {

cpu_set_t cpus_of(pid_t id) {
  cpu_set_t cpus;
  REQUIRE(::sched_getaffinity(id, sizeof cpus, &cpus) == 0);
  return cpus;
}

/// A thread that is there until it is told to end.
class Waiter {
 public:
  Waiter() : thread_([this] { run(); }) { id_.wait(0); }
  ~Waiter() {
    may_end = true;
    may_end.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  std::thread& thread() { return thread_; }
  pid_t id() const { return id_; }

  std::atomic<bool> may_end{false};

 private:
  void run() {
    id_ = ::gettid();
    id_.notify_all();
    may_end.wait(false);
  }
  std::atomic<pid_t> id_{0};
  std::thread thread_;
};

TEST_CASE("a thread that is moved elsewhere may run everywhere afterwards") {
  const cpu_set_t all = cpus_of(0);
  Waiter waiter;
  work_elsewhere(waiter.thread());
  const cpu_set_t left = cpus_of(waiter.id());
  CHECK(CPU_EQUAL(&left, &all));
}

TEST_CASE("who is bound to a CPU stays bound") {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
  Waiter waiter;
  REQUIRE(::sched_setaffinity(waiter.id(), sizeof one, &one) == 0);
  work_elsewhere(waiter.thread());
  cpu_set_t left = cpus_of(waiter.id());
  CHECK(CPU_EQUAL(&left, &one));
  wake_here(waiter.id(), [] {});
  left = cpus_of(waiter.id());
  CHECK(CPU_EQUAL(&left, &one));
}

TEST_CASE("who is woken here is woken once, and may run everywhere afterwards") {
  const cpu_set_t all = cpus_of(0);
  Waiter waiter;
  int woken = 0;
  cpu_set_t meanwhile;
  wake_here(waiter.id(), [&] {
    ++woken;
    meanwhile = cpus_of(waiter.id());
  });
  CHECK(woken == 1);
  CHECK(CPU_COUNT(&meanwhile) == 1);
  const cpu_set_t left = cpus_of(waiter.id());
  CHECK(CPU_EQUAL(&left, &all));
}

TEST_CASE("who cannot be placed is woken all the same") {
  constexpr pid_t kNobody = 0x7FFF'FFFF;
  int woken = 0;
  wake_here(kNobody, [&] { ++woken; });
  CHECK(woken == 1);
}

}  // namespace
}  // namespace stasis::base
