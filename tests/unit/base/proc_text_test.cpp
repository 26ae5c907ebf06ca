#include "base/proc_text.h"

#include <catch2/catch.hpp>

namespace stasis::base {
namespace {

TEST_CASE("a line of /proc is found by its whole name, and told in bytes") {
  constexpr std::string_view kText =
      "Name:\tVmPTE: 7 kB\nVmPTE:\t    1234 kB\nFree:   2 kB\nOdd: kB\n";
  CHECK(proc_bytes(kText, "VmPTE") == 1234U * 1024);
  CHECK(proc_bytes(kText, "Free") == 2048U);
  CHECK(proc_bytes("MemTotal:  3 kB\n", "MemTotal") == 3072U);
  CHECK_FALSE(proc_bytes(kText, "Fre"));
  CHECK_FALSE(proc_bytes(kText, "ree"));
  CHECK_FALSE(proc_bytes(kText, "Odd"));
  CHECK_FALSE(proc_bytes("", "VmPTE"));
  CHECK_FALSE(proc_bytes("VmPTE:", "VmPTE"));
}

TEST_CASE("a file of /proc is read; one that is not there is empty") {
  CHECK(proc_bytes(read_proc("/proc/meminfo"), "MemTotal").value_or(0) > 0);
  CHECK(proc_bytes(read_proc("/proc/self/status"), "VmPTE").value_or(0) > 0);
  CHECK(read_proc("/proc/not-there").empty());
}

}  // namespace
}  // namespace stasis::base
