#include "vmm/machine.h"

#include <catch2/catch.hpp>
#include <thread>

#include "base/check.h"
#include "tests/kvm/test_machine.h"

namespace stasis::vmm {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a guest runs to its own end") {
  Transcript console;
  auto machine = Machine::create(guest("hello"), {console});
  REQUIRE(machine);
  (*machine)->start();
  CHECK((*machine)->wait().kind == Ending::Kind::kPowerOff);
  CHECK(console.text() == "hello from the guest\n");
}

TEST_CASE("a machine that never ran can be taken down") {
  Transcript console;
  CHECK(Machine::create(guest("hello"), {console}));
}

TEST_CASE("pauses at any moment do not change what the guest does") {
  for (const char* name : {"timer", "pci_scan", "acpi_walk"}) {
    Transcript undisturbed;
    auto first = Machine::create(guest(name), {undisturbed});
    REQUIRE(first);
    (*first)->start();
    REQUIRE((*first)->wait().kind == Ending::Kind::kPowerOff);

    Transcript console;
    auto machine = Machine::create(guest(name), {console});
    REQUIRE(machine);
    (*machine)->start();
    int pauses = 0;
    for (; !(*machine)->ending(); ++pauses) {
      REQUIRE((*machine)->pause());
      std::this_thread::sleep_for(200us);
    }
    INFO(name << " after " << pauses << " pauses");
    CHECK((*machine)->ending()->kind == Ending::Kind::kPowerOff);
    CHECK(console.text() == undisturbed.text());
  }
}

TEST_CASE("a paused guest prints nothing") {
  Transcript console;
  auto config = guest("smp");
  config.cpus = 4;
  config.cmdline = "cpus=4";
  auto machine = Machine::create(config, {console});
  REQUIRE(machine);
  (*machine)->start();
  {
    const auto paused = (*machine)->pause();
    REQUIRE(paused);
    const std::string before = console.text();
    std::this_thread::sleep_for(20ms);
    CHECK(console.text() == before);
  }
  CHECK((*machine)->wait().kind == Ending::Kind::kPowerOff);
}

TEST_CASE("the host can end a guest that spins, paused or not") {
  for (const bool pause_first : {false, true}) {
    Transcript console;
    auto machine = Machine::create(guest("spin"), {console});
    REQUIRE(machine);
    (*machine)->start();
    if (pause_first) {
      const auto paused = (*machine)->pause();
      REQUIRE(paused);
      (*machine)->end({Ending::Kind::kStopped, "enough"});
    } else {
      (*machine)->end({Ending::Kind::kStopped, "enough"});
    }
    CHECK((*machine)->wait().detail == "enough");
    (*machine)->end({Ending::Kind::kPanic, "late"});
    CHECK((*machine)->ending()->detail == "enough");
  }
}

TEST_CASE("many machines run in one process") {
  constexpr int kMachines = 8;
  std::vector<Transcript> consoles(kMachines);
  std::vector<std::unique_ptr<Machine>> machines;
  machines.reserve(kMachines);
  for (auto& console : consoles) {
    machines.push_back(Machine::create(guest("hello"), {console}).value());
  }
  for (auto& machine : machines) machine->start();
  for (auto& machine : machines) CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
  for (auto& console : consoles) CHECK(console.text() == "hello from the guest\n");
}

TEST_CASE("a disk belongs to one machine at a time") {
  const ScratchDisk disk;
  Transcript console;
  auto config = guest("hello");
  config.disks.push_back({.path = disk.path, .read_only = false, .id = ""});
  {
    const auto first = Machine::create(config, {console});
    REQUIRE(first);
    const auto second = Machine::create(config, {console});
    REQUIRE_FALSE(second);
    CHECK(second.error().kind() == base::ErrorKind::kBusy);
    CHECK(second.error().message().find(disk.path) != std::string::npos);
  }
  CHECK(Machine::create(config, {console}));
}

TEST_CASE("a machine of no or too many vCPUs is refused") {
  Transcript console;
  for (const unsigned cpus : {0U, kMaxCpus + 1}) {
    auto config = guest("hello");
    config.cpus = cpus;
    CHECK_FALSE(Machine::create(config, {console}));
  }
}

}  // namespace
}  // namespace stasis::vmm
