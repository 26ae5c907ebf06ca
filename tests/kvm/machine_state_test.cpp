#include "vmm/machine_state.h"

#include <catch2/catch.hpp>
#include <thread>

#include "tests/kvm/test_machine.h"

namespace stasis::vmm {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a restored machine's state is the saved one, wherever the guest was stopped") {
  for (const char* name : {"timer", "pci_scan", "acpi_walk", "long_mode", "smp", "bad_io"}) {
    Transcript console;
    auto config = guest(name);
    if (std::string(name) == "smp") {
      config.cpus = 4;
      config.cmdline = "cpus=4";
    }
    auto machine = Machine::create(config, {console});
    REQUIRE(machine);
    (*machine)->start();
    int tests = 0;
    while (true) {
      {
        const auto paused = (*machine)->pause();
        REQUIRE(paused);
        if ((*machine)->ending()) break;
        const auto result = (*machine)->selftest(*paused);
        INFO(name << ", test " << tests << ": " << (result ? *result : result.error().message()));
        CHECK(result);
        ++tests;
      }
      std::this_thread::sleep_for(100us);
    }
    CHECK((*machine)->ending()->kind == Ending::Kind::kPowerOff);
  }
}

TEST_CASE("a restored guest goes on where it was, with what it had in memory alone") {
  Transcript before;
  std::unique_ptr<Saved> saved;
  {
    auto machine = Machine::create(guest("counter"), {before}).value();
    machine->start();
    REQUIRE(before.wait_for("\n5 "));
    saved = std::make_unique<Saved>(*machine);
  }
  const std::string nonce = before.text().substr(2, 8);
  Transcript after;
  auto machine =
      Machine::restore(guest("counter"), {after}, {.state = saved->state, .ram = saved->ram});
  INFO((machine ? "" : machine.error().message()));
  REQUIRE(machine);
  CHECK(after.text().empty());
  (*machine)->start();
  CHECK((*machine)->wait().kind == Ending::Kind::kPowerOff);
  CHECK(after.text().find("1 ") != 0);
  CHECK(after.text().find("\n40 " + nonce + "\n") != std::string::npos);
}

}  // namespace
}  // namespace stasis::vmm
