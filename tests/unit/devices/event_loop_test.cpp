#include "devices/event_loop.h"

#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "base/thread_placement.h"

namespace stasis::devices {
namespace {

TEST_CASE("a watched descriptor calls back on the loop's thread") {
  auto loop = EventLoop::create("test").value();
  const base::Fd event = base::make_eventfd().value();
  std::atomic<int> calls{0};
  std::atomic<bool> on_loop{false};
  loop->watch(event.get(), POLLIN, [&] {
    base::drain_eventfd(event);
    on_loop = loop->on_loop_thread();
    ++calls;
  });
  loop->start();
  base::signal_eventfd(event);
  while (calls == 0) std::this_thread::yield();
  CHECK(on_loop);
  loop->run_sync([&] { loop->unwatch(event.get()); });
  base::signal_eventfd(event);
  loop->run_sync([] {});
  CHECK(calls == 1);
}

TEST_CASE("a loop at work keeps to CPUs without the threads it is to keep off") {
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  if (CPU_COUNT(&all) < 2) return;
  auto loop = EventLoop::create("test").value();
  loop->start();
  const int here = ::sched_getcpu();
  const cpu_set_t only_here = base::only_cpu(here);
  REQUIRE(::sched_setaffinity(0, sizeof only_here, &only_here) == 0);  // this thread stays here
  loop->run_sync([&] {
    ::sched_setaffinity(0, sizeof only_here, &only_here);
    ::sched_setaffinity(0, sizeof all, &all);
  });
  base::ThreadWatches others;
  others.emplace_back(::gettid());
  loop->keep_off(std::make_shared<const base::ThreadWatches>(std::move(others)));
  int there = here;
  for (int i = 0; i < 1000 && there == here; ++i) {
    loop->run_sync([&] { there = ::sched_getcpu(); });
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(there != here);
  cpu_set_t left;
  loop->run_sync([&] { ::sched_getaffinity(0, sizeof left, &left); });
  CPU_CLR(static_cast<unsigned>(here), &all);
  CHECK(CPU_EQUAL(&left, &all));
  CPU_SET(static_cast<unsigned>(here), &all);
  REQUIRE(::sched_setaffinity(0, sizeof all, &all) == 0);
}

TEST_CASE("a parked loop runs nothing until it is resumed") {
  auto loop = EventLoop::create("test").value();
  loop->start();
  loop->pause();
  std::atomic<bool> ran{false};
  loop->post([&] { ran = true; });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(ran);
  loop->resume();
  loop->run_sync([] {});
  CHECK(ran);
}

TEST_CASE("a pause finds what was posted before it done") {
  auto loop = EventLoop::create("test").value();
  loop->start();
  for (int i = 0; i < 1000; ++i) {
    bool ran = false;  // the pause orders the accesses
    loop->post([&] { ran = true; });
    loop->pause();
    CHECK(ran);
    loop->resume();
  }
}

TEST_CASE("a loop that was parked asleep calls back for what came meanwhile, once it is resumed") {
  const base::Fd event = base::make_eventfd().value();  // goes after the loop that watches it
  std::atomic<int> calls{0};
  auto loop = EventLoop::create("test").value();
  loop->watch(event.get(), POLLIN, [&] {
    base::drain_eventfd(event);
    ++calls;
  });
  loop->start();
  for (int i = 1; i <= 100; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(i % 2 * 500));  // asleep, or on the way
    loop->pause();
    const int before = calls;
    base::signal_eventfd(event);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    CHECK(calls == before);
    loop->resume();
    while (calls == before) std::this_thread::yield();
    CHECK(calls == before + 1);
  }
}

TEST_CASE("what a parked loop watches may be changed by the one who parked it") {
  auto loop = EventLoop::create("test").value();
  const base::Fd event = base::make_eventfd().value();
  std::atomic<int> calls{0};
  loop->watch(event.get(), POLLIN, [&] { ++calls; });
  loop->start();
  loop->run_sync([] {});
  loop->pause();
  base::signal_eventfd(event);
  loop->unwatch(event.get());
  loop->resume();
  loop->run_sync([] {});
  CHECK(calls == 0);
}

TEST_CASE("a parked loop lets go of a descriptor that it waited for") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const base::Fd ours(ends[0]);
  base::Fd watched(ends[1]);
  auto loop = EventLoop::create("test").value();
  loop->watch(watched.get(), POLLIN, [] {});
  loop->start();
  loop->run_sync([] {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until it sleeps
  loop->pause();
  loop->unwatch(watched.get());
  watched.reset();
  CHECK(::send(ours.get(), "", 1, MSG_NOSIGNAL) == -1);
  CHECK(errno == EPIPE);
}

TEST_CASE("a loop waits for what was added while it was parked") {
  const bool by_hook = GENERATE(false, true);
  const base::Fd event = base::make_eventfd().value();
  std::atomic<int> calls{0};
  struct Hook final : PollHook {
    void before_poll(std::vector<pollfd>& fds, int& /*timeout_ms*/) override {
      if (fd >= 0) fds.push_back({fd, POLLIN, 0});
    }
    void after_poll(std::span<const pollfd> fds) override {
      if (!fds.empty() && fds[0].revents != 0) called();
    }
    int fd = -1;
    std::function<void()> called;
  } hook;
  hook.called = [&] {
    base::drain_eventfd(event);
    ++calls;
  };
  auto loop = EventLoop::create("test").value();
  loop->add_hook(hook);
  loop->start();
  loop->run_sync([] {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until it sleeps
  loop->pause();
  if (by_hook) {
    loop->run_sync([&] { hook.fd = event.get(); });
  } else {
    loop->watch(event.get(), POLLIN, hook.called);
  }
  loop->resume();
  base::signal_eventfd(event);
  while (calls == 0) std::this_thread::yield();
  CHECK(calls == 1);
}

TEST_CASE("run_sync works before the start, while parked and from the loop itself") {
  auto loop = EventLoop::create("test").value();
  int count = 0;
  loop->run_sync([&] { ++count; });
  loop->start();
  loop->run_sync([&] { loop->run_sync([&] { ++count; }); });
  loop->pause();
  loop->run_sync([&] { ++count; });
  CHECK(count == 3);
}

TEST_CASE("what is asked of an open loop waits for its thread") {
  auto loop = EventLoop::create("test").value();
  loop->open();
  std::atomic<bool> on_loop{false};
  std::thread early([&] { loop->run_sync([&] { on_loop = loop->on_loop_thread(); }); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK_FALSE(on_loop);
  loop->start();
  early.join();
  CHECK(on_loop);
}

TEST_CASE("a loop can be destroyed in every phase") {
  auto idle = EventLoop::create("test").value();
  auto open = EventLoop::create("test").value();
  open->open();
  auto running = EventLoop::create("test").value();
  running->start();
  auto parked = EventLoop::create("test").value();
  parked->start();
  parked->pause();
  SUCCEED();
}

}  // namespace
}  // namespace stasis::devices
