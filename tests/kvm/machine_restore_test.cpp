#include "vmm/machine_restore.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "tests/kvm/test_machine.h"
#include "vmm/host_needs.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Machine> restored(const MachineConfig& config, Transcript& console, Saved& saved,
                                  ClockPolicy clock = ClockPolicy::kCatchUp,
                                  bool new_generation = true) {
  auto machine = Machine::restore(
      config, {console},
      {.state = saved.state, .ram = saved.ram, .clock = clock, .new_generation = new_generation});
  INFO((machine ? "" : machine.error().message()));
  REQUIRE(machine);
  return std::move(*machine);
}

/// All of a machine, which does not run on afterwards.
Saved save_and_end(Machine& machine, const PausedMachine& paused) {
  Saved saved(machine, paused);
  machine.end({Ending::Kind::kStopped, "moved"});
  return saved;
}

/// The counter guest, stopped after its fifth line.
Saved counting(Transcript& console) {
  const auto machine = Machine::create(guest("counter"), {console}).value();
  machine->start();
  REQUIRE(console.wait_for("\n5 "));
  return save_and_end(*machine, machine->pause().value());
}

std::string all_of(const std::string& guest_name) {
  Transcript console;
  const auto machine = Machine::create(guest(guest_name), {console}).value();
  machine->start();
  REQUIRE(machine->wait().kind == Ending::Kind::kPowerOff);
  return console.text();
}

TEST_CASE("a restored guest goes on where it was, with what it had in memory alone") {
  Transcript before;
  Saved saved = counting(before);
  const std::string nonce = before.text().substr(2, 8);
  Transcript after;
  const auto machine = restored(guest("counter"), after, saved);
  std::this_thread::sleep_for(10ms);
  CHECK(after.text().empty());  // nothing runs before `start`
  machine->start();
  CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
  const std::string text = before.text() + after.text();
  std::string expected;
  for (int i = 1; i <= 40; ++i) expected += std::to_string(i) + " " + nonce + "\n";
  CHECK(text == expected);
}

TEST_CASE("one state can be lived many times, and each time is told from the others") {
  Transcript before;
  Saved saved = counting(before);
  std::vector<std::array<std::uint8_t, 16>> generations{saved.state.platform.vm_gen_id.guid};
  std::string text;
  for (int i = 0; i < 3; ++i) {
    Transcript after;
    const auto machine = restored(guest("counter"), after, saved);
    {
      const auto paused = machine->pause().value();
      const auto& platform = machine->save(paused).value().platform;
      for (const auto& guid : generations) CHECK(platform.vm_gen_id.guid != guid);
      CHECK(platform.acpi_pm.events == devices::AcpiPm::kGenerationEvent);
      std::array<std::uint8_t, 16> in_memory{};
      REQUIRE(machine->ram(paused).view().read({layout::kVmGenId},
                                               std::as_writable_bytes(std::span(in_memory))));
      CHECK(in_memory == platform.vm_gen_id.guid);
      generations.push_back(in_memory);
    }
    machine->start();
    CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
    if (i > 0) CHECK(after.text() == text);
    text = after.text();
  }
}

TEST_CASE("without a new generation the restored memory is the saved one, to the byte") {
  Transcript before;
  Saved saved = counting(before);
  Transcript after;
  const auto machine =
      restored(guest("counter"), after, saved, ClockPolicy::kCatchUp, /*new_generation=*/false);
  const auto paused = machine->pause().value();
  CHECK(machine->save(paused).value().platform == saved.state.platform);
  const auto& regions = machine->ram(paused).regions();
  REQUIRE(regions.size() == saved.ram.copies().size());
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const auto& copy = saved.ram.copies()[i];
    CHECK(std::memcmp(regions[i].bytes.data(), copy.data(), copy.size()) == 0);
  }
}

// Timers, start-up messages between processors, PCI configuration, power management in mid-access.
TEST_CASE("a guest that is moved to a new machine again and again does what it always does") {
  for (const char* name : {"timer", "pci_scan", "acpi_walk", "long_mode"}) {
    const std::string expected = all_of(name);
    Transcript console;
    auto machine = Machine::create(guest(name), {console}).value();
    int moves = 0;
    for (machine->start(); !machine->ending();) {
      std::unique_ptr<Saved> saved;
      {
        const auto paused = machine->pause().value();
        if (machine->ending()) break;
        saved = std::make_unique<Saved>(save_and_end(*machine, paused));
      }
      machine.reset();
      machine = restored(guest(name), console, *saved, ClockPolicy::kCatchUp, false);
      machine->start();
      std::this_thread::sleep_for(moves % 3 * 300us);
      if (++moves == 60) machine->wait();
    }
    INFO(name << ", " << moves << " moves");
    CHECK(moves > 0);
    CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
    CHECK(console.text() == expected);
  }
}

}  // namespace
}  // namespace stasis::vmm
