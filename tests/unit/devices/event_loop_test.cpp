#include "devices/event_loop.h"

#include <atomic>
#include <catch2/catch.hpp>

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

TEST_CASE("a loop can be destroyed in every phase") {
  auto idle = EventLoop::create("test").value();
  auto running = EventLoop::create("test").value();
  running->start();
  auto parked = EventLoop::create("test").value();
  parked->start();
  parked->pause();
  SUCCEED();
}

}  // namespace
}  // namespace stasis::devices
