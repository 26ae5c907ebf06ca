#include "base/short_turns.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <thread>

namespace stasis::base {
namespace {

/// sched_attr.sched_runtime of this thread: its turn, where the kernel has such.
std::uint64_t turn_ns() {
  std::array<std::uint64_t, 6> attributes{};
  CHECK(::syscall(SYS_sched_getattr, 0, attributes.data(), sizeof attributes, 0) == 0);
  return attributes[3];
}

bool kernel_has_turns() {
  utsname system{};
  CHECK(::uname(&system) == 0);
  char* dot = nullptr;
  const auto major = std::strtoul(system.release, &dot, 10);
  const auto minor = *dot == '.' ? std::strtoul(dot + 1, nullptr, 10) : 0;
  return major > 6 || (major == 6 && minor >= 12);
}

void on_a_thread(void (*act)()) {
  std::thread(act).join();
}

TEST_CASE("a thread takes short turns, and is else scheduled as before") {
  on_a_thread([] {
    CHECK(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), 3) == 0);
    take_short_turns();
    CHECK(::sched_getscheduler(0) == SCHED_OTHER);
    CHECK(::getpriority(PRIO_PROCESS, static_cast<id_t>(::gettid())) == 3);
    if (kernel_has_turns()) CHECK(turn_ns() == 100'000);
  });
}

TEST_CASE("a thread of another policy is left alone") {
  on_a_thread([] {
    const sched_param none{};
    CHECK(::sched_setscheduler(0, SCHED_IDLE, &none) == 0);
    const auto before = turn_ns();
    take_short_turns();
    CHECK(::sched_getscheduler(0) == SCHED_IDLE);
    CHECK(turn_ns() == before);
  });
}

}  // namespace
}  // namespace stasis::base
