#include "base/thread_placement.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
    may_end_ = true;
    ++calls_;
    calls_.notify_all();
    thread_.join();
  }
  /// Makes it run for a moment, and waits for that.
  void stir() {
    const int before = turns_;
    ++calls_;
    calls_.notify_all();
    turns_.wait(before);
  }
  void bind_to(int cpu) const {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(cpu), &one);
    REQUIRE(::sched_setaffinity(id_, sizeof one, &one) == 0);
  }
  std::thread& thread() { return thread_; }
  pid_t id() const { return id_; }

 private:
  void run() {
    id_ = ::gettid();
    id_.notify_all();
    for (int seen = 0; !may_end_; seen = calls_) {
      ++turns_;
      turns_.notify_all();
      calls_.wait(seen);
    }
  }
  std::atomic<pid_t> id_{0};
  std::atomic<int> calls_{0};
  std::atomic<int> turns_{0};
  std::atomic<bool> may_end_{false};
  std::thread thread_;
};

TEST_CASE("a thread that is moved elsewhere may run everywhere afterwards") {
  const cpu_set_t all = cpus_of(0);
  Waiter waiter;
  work_elsewhere(waiter.thread());
  const cpu_set_t left = cpus_of(waiter.id());
  CHECK(CPU_EQUAL(&left, &all));
}

TEST_CASE("a thread that is woken elsewhere does not run here meanwhile") {
  const cpu_set_t all = cpus_of(0);
  Waiter waiter;
  cpu_set_t meanwhile = all;
  wake_elsewhere(waiter.thread(), [&] {
    waiter.stir();
    meanwhile = cpus_of(waiter.id());
  });
  CHECK(CPU_COUNT(&meanwhile) == std::max(1, CPU_COUNT(&all) - 1));
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

TEST_CASE("a thread's CPU is told") {
  Waiter waiter;
  const int here = ::sched_getcpu();
  waiter.bind_to(here);
  waiter.stir();
  CHECK(ThreadWatch(waiter.id()).cpu() == here);
  CHECK_FALSE(ThreadWatch(0x7FFF'FFFF).cpu());
}

/// Where `waiter` is from then on, bound nowhere.
void bring_here(Waiter& waiter, const cpu_set_t& all) {
  for (int i = 0; i < 100 && (i == 0 || ThreadWatch(waiter.id()).cpu() != ::sched_getcpu()); ++i) {
    waiter.bind_to(::sched_getcpu());
    waiter.stir();
    REQUIRE(::sched_setaffinity(waiter.id(), sizeof all, &all) == 0);
  }
  REQUIRE(ThreadWatch(waiter.id()).cpu() == ::sched_getcpu());
}

TEST_CASE("a thread leaves the CPU of those it is to keep off, and is bound nowhere then") {
  const cpu_set_t all = cpus_of(0);
  if (CPU_COUNT(&all) < 2) return;
  Waiter other;
  bring_here(other, all);
  leave_cpus_of(std::array{ThreadWatch(other.id())});
  CHECK(ThreadWatch(other.id()).cpu() != ::sched_getcpu());
  const cpu_set_t left = cpus_of(0);
  CHECK(CPU_EQUAL(&left, &all));
}

TEST_CASE("a thread stays where no CPU is free of the others") {
  const cpu_set_t all = cpus_of(0);
  Waiter other;
  bring_here(other, all);
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(static_cast<unsigned>(*ThreadWatch(other.id()).cpu()), &here);
  REQUIRE(::sched_setaffinity(0, sizeof here, &here) == 0);
  leave_cpus_of(std::array{ThreadWatch(other.id())});
  const cpu_set_t left = cpus_of(0);
  CHECK(CPU_EQUAL(&left, &here));
  REQUIRE(::sched_setaffinity(0, sizeof all, &all) == 0);
}

TEST_CASE("who cannot be placed is woken all the same") {
  constexpr pid_t kNobody = 0x7FFF'FFFF;
  int woken = 0;
  wake_here(kNobody, [&] { ++woken; });
  CHECK(woken == 1);
}

}  // namespace
}  // namespace stasis::base
