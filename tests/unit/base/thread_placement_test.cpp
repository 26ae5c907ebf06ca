#include "base/thread_placement.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <utility>

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
    const cpu_set_t one = only_cpu(cpu);
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
  const cpu_set_t one = only_cpu(::sched_getcpu());
  Waiter waiter;
  REQUIRE(::sched_setaffinity(waiter.id(), sizeof one, &one) == 0);
  work_elsewhere(waiter.thread());
  cpu_set_t left = cpus_of(waiter.id());
  CHECK(CPU_EQUAL(&left, &one));
}

TEST_CASE("who stays is bound to its CPU until the end, a child that it makes, too") {
  const cpu_set_t all = cpus_of(0);
  Stay stay;
  cpu_set_t now = cpus_of(0);
  const cpu_set_t here = only_cpu(::sched_getcpu());
  CHECK(CPU_EQUAL(&now, &here));
  const pid_t child = ::fork();
  if (child == 0) {
    const cpu_set_t inherited = cpus_of(0);
    const bool waits = ::sched_getscheduler(0) == SCHED_BATCH;
    stay.end();
    const cpu_set_t left = cpus_of(0);
    const bool is_as_before = CPU_EQUAL(&left, &all) && ::sched_getscheduler(0) == SCHED_OTHER;
    ::_exit(CPU_EQUAL(&inherited, &here) && waits && is_as_before ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  stay.end();
  now = cpus_of(0);
  CHECK(CPU_EQUAL(&now, &all));
  CHECK(::sched_getscheduler(0) == SCHED_OTHER);
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
  const cpu_set_t here = only_cpu(*ThreadWatch(other.id()).cpu());
  REQUIRE(::sched_setaffinity(0, sizeof here, &here) == 0);
  leave_cpus_of(std::array{ThreadWatch(other.id())});
  const cpu_set_t left = cpus_of(0);
  CHECK(CPU_EQUAL(&left, &here));
  REQUIRE(::sched_setaffinity(0, sizeof all, &all) == 0);
}

std::shared_ptr<const ThreadWatches> watch(const Waiter& other) {
  ThreadWatches watches;
  watches.emplace_back(other.id());
  return std::make_shared<const ThreadWatches>(std::move(watches));
}

/// Binds `other` to `cpu` and has it run there, so that it is found there.
void bring_to(Waiter& other, int cpu) {
  other.bind_to(cpu);
  other.stir();
  REQUIRE(ThreadWatch(other.id()).cpu() == cpu);
}

cpu_set_t without(cpu_set_t cpus, int cpu) {
  CPU_CLR(static_cast<unsigned>(cpu), &cpus);
  return cpus;
}

/// Two CPUs of `all`.
std::array<int, 2> two_of(const cpu_set_t& all) {
  std::array<int, 2> found{-1, -1};
  for (int cpu = 0; cpu < CPU_SETSIZE && found[1] < 0; ++cpu) {
    if (CPU_ISSET(static_cast<unsigned>(cpu), &all)) found[found[0] < 0 ? 0 : 1] = cpu;
  }
  return found;
}

TEST_CASE("a separated thread keeps off the others' CPU, wherever they go") {
  const cpu_set_t all = cpus_of(0);
  if (CPU_COUNT(&all) < 2) return;
  const auto [first, second] = two_of(all);
  Waiter other;
  Separation separation(watch(other));
  for (const int place : {first, second, first}) {
    bring_to(other, place);
    separation.look();
    const cpu_set_t now = cpus_of(0);
    const cpu_set_t expected = without(all, place);
    CHECK(CPU_EQUAL(&now, &expected));
    CHECK(::sched_getcpu() != place);
  }
  REQUIRE(::sched_setaffinity(0, sizeof all, &all) == 0);
}

TEST_CASE("a separated thread does not leave what somebody else binds it to") {
  const cpu_set_t all = cpus_of(0);
  if (CPU_COUNT(&all) < 2) return;
  const int place = two_of(all)[0];
  Waiter other;
  Separation separation(watch(other));
  bring_to(other, place);
  separation.look();
  const cpu_set_t one = only_cpu(place);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  separation.look();
  const cpu_set_t now = cpus_of(0);
  CHECK(CPU_EQUAL(&now, &one));
  REQUIRE(::sched_setaffinity(0, sizeof all, &all) == 0);
}

TEST_CASE("a separated thread may use all CPUs again when the others are gone") {
  const cpu_set_t all = cpus_of(0);
  auto other = std::make_unique<Waiter>();
  Separation separation(watch(*other));
  bring_here(*other, all);
  separation.look();
  other.reset();
  separation.look();
  const cpu_set_t now = cpus_of(0);
  CHECK(CPU_EQUAL(&now, &all));
}

TEST_CASE("a thread of a maker that stays can be scheduled as he was") {
  const cpu_set_t all = cpus_of(0);
  cpu_set_t found;
  int policy = -1;
  Stay stay;
  std::thread([&, before = stay.before()] {
    before.take();
    found = cpus_of(0);
    policy = ::sched_getscheduler(0);
  }).join();
  CHECK(CPU_EQUAL(&found, &all));
  CHECK(policy == SCHED_OTHER);
}

TEST_CASE("a thread of a bound maker can take the process's CPUs") {
  const cpu_set_t all = cpus_of(::getpid());
  cpu_set_t found;
  std::thread([&] {
    const cpu_set_t one = only_cpu(two_of(all)[0]);
    ::sched_setaffinity(0, sizeof one, &one);
    take_cpus_of_process();
    found = cpus_of(0);
  }).join();
  CHECK(CPU_EQUAL(&found, &all));
}

TEST_CASE("of a thread that sleeps, no CPU is in use") {
  Waiter waiter;
  waiter.stir();
  const ThreadWatch watch(waiter.id());
  for (int i = 0; i < 100 && watch.cpu_in_use(); ++i) ::usleep(1000);  // on its way to sleep
  CHECK_FALSE(watch.cpu_in_use());
  CHECK(watch.cpu());
  CHECK(ThreadWatch(::gettid()).cpu_in_use() == ::sched_getcpu());
}

TEST_CASE("who keeps off those that are awake may use the CPUs of those that sleep") {
  const cpu_set_t all = cpus_of(0);
  if (CPU_COUNT(&all) < 2) return;
  const int place = two_of(all)[0];
  Waiter other;
  bring_to(other, place);
  Separation separation(watch(other), Separation::From::kAwake);
  for (int i = 0; i < 100 && ThreadWatch(other.id()).cpu_in_use(); ++i) ::usleep(1000);
  separation.look();
  cpu_set_t now = cpus_of(0);
  CHECK(CPU_EQUAL(&now, &all));
  std::atomic<bool> is_over{false};
  std::atomic<pid_t> id{0};
  std::thread busy([&] {
    const cpu_set_t one = only_cpu(place);
    ::sched_setaffinity(0, sizeof one, &one);
    id = ::gettid();
    while (!is_over) {
    }
  });
  while (id == 0) ::usleep(1000);
  ThreadWatches watches;
  watches.emplace_back(id);
  Separation from_busy(std::make_shared<const ThreadWatches>(std::move(watches)),
                       Separation::From::kAwake);
  from_busy.look();
  now = cpus_of(0);
  const cpu_set_t expected = without(all, place);
  CHECK(CPU_EQUAL(&now, &expected));
  is_over = true;
  busy.join();
  from_busy.look();
  now = cpus_of(0);
  CHECK(CPU_EQUAL(&now, &all));
}

TEST_CASE("who keeps off nobody stays as he is") {
  const cpu_set_t all = cpus_of(0);
  Separation(nullptr).look();
  const cpu_set_t now = cpus_of(0);
  CHECK(CPU_EQUAL(&now, &all));
}

}  // namespace
}  // namespace stasis::base
