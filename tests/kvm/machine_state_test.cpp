#include "vmm/machine_state.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/kvm/test_machine.h"

namespace stasis::vmm {
namespace {

using namespace std::chrono_literals;

void test_at_stop(const Machine& machine, const base::Result<PausedMachine>& paused, int stop) {
  REQUIRE(paused);
  const auto result = machine.selftest(*paused);
  INFO("stop " << stop << ": " << (result ? *result : result.error().message()));
  REQUIRE(result);
}

/// Lets the guest run in short pieces and tests its state before the first and after each of up to
/// `limit`, whose number it returns; the guest has to come to its own end all the same.
int test_until_end(Machine& machine, int limit) {
  test_at_stop(machine, machine.start_paused(), 0);
  int tests = 0;
  for (; tests < limit; ++tests) {
    const auto paused = machine.pause();
    if (machine.ending()) break;
    test_at_stop(machine, paused, tests + 1);
  }
  CHECK(machine.wait().kind == Ending::Kind::kPowerOff);
  return tests;
}

/// The same with a machine of `config`. On a busy host its guest may be through before it is
/// stopped for the first time: then once more.
int test_stops(const MachineConfig& config, int limit) {
  constexpr int kRuns = 20;
  for (int run = 0; run < kRuns; ++run) {
    Transcript console;
    const auto machine = Machine::create(config, {console}).value();
    if (const int tests = test_until_end(*machine, limit); tests > 0) return tests;
  }
  return 0;
}

MachineConfig smp(unsigned cpus) {
  auto config = guest("smp");
  config.cpus = cpus;
  config.cmdline = "cpus=" + std::to_string(cpus);
  return config;
}

TEST_CASE("a restored machine's state is the saved one, wherever the guest was stopped") {
  // Real, protected and long mode; the timers' interrupts pending or not; halted; in the middle of
  // port and memory accesses.
  int stops = 0;
  for (const char* name : {"hello", "timer", "acpi_walk", "long_mode", "bad_io", "counter"}) {
    INFO(name);
    stops += test_stops(guest(name), 40);
  }
  CHECK(stops > 6);
}

TEST_CASE("processors that wait to be started and those that run are restored as they were") {
  for (const unsigned cpus : {1U, 2U, 4U, 32U}) {
    INFO(cpus << " vCPUs");
    CHECK(test_stops(smp(cpus), cpus > 4 ? 6 : 20) > 0);
  }
}

TEST_CASE("a machine with every device and memory above 4 GiB is restored as it was") {
  const ScratchDisk disk;
  const ScratchDisk read_only;
  auto config = guest("pci_scan");
  config.cpus = 2;
  config.memory_bytes = std::uint64_t{6} << 30;
  config.disks = {{.path = disk.path, .read_only = false, .id = ""},
                  {.path = read_only.path, .read_only = true, .id = "second"}};
  config.net = UserNetConfig{};
  config.console.port = ConsoleConfig::Port::kVirtio;
  CHECK(test_stops(config, 20) > 0);
}

TEST_CASE("a machine that never ran is restored as it was") {
  Transcript console;
  const auto machine = Machine::create(smp(2), {console}).value();
  {
    const auto paused = machine->pause().value();
    CHECK(machine->selftest(paused));
  }
  std::this_thread::sleep_for(20ms);
  CHECK(console.text().empty());  // a pause that ends does not start it
}

TEST_CASE("saving a thousand times does not disturb the guest") {
  Transcript undisturbed;
  const auto first = Machine::create(guest("timer"), {undisturbed}).value();
  first->start();
  REQUIRE(first->wait().kind == Ending::Kind::kPowerOff);
  Transcript console;
  auto machine = Machine::create(guest("timer"), {console}).value();
  machine->start();
  for (int i = 0; i < 1000; ++i) {
    const auto paused = machine->pause().value();
    if (!machine->ending()) CHECK(machine->save(paused).value().vcpus.size() == 1);
    if (i % 10 == 0) CHECK(machine->ram(paused).regions().size() == 1);
  }
  CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
  CHECK(console.text() == undisturbed.text());
}

TEST_CASE("a thousand saves of a busy and of a halted guest find it there") {
  for (const auto& [name, line] :
       {std::pair("spin", "spinning\n"), std::pair("halt", "halted\n")}) {
    Transcript console;
    const auto machine = Machine::create(guest(name), {console}).value();
    machine->start();
    REQUIRE(console.wait_for(line));
    for (int i = 0; i < 1000; ++i) {
      const auto paused = machine->pause().value();
      REQUIRE(machine->save(paused));
    }
    CHECK_FALSE(machine->ending());
    CHECK(console.text() == line);
  }
}

TEST_CASE("saving changes nothing, and encoding loses nothing") {
  Transcript console;
  const auto machine = Machine::create(guest("spin"), {console}).value();
  machine->start();
  REQUIRE(console.wait_for("spinning"));
  const auto paused = machine->pause().value();
  auto first = machine->save(paused).value();
  const auto second = machine->save(paused).value();
  CHECK(decode_machine_state(encode_machine_state(first)).value() == first);
  first.vm.clock = second.vm.clock;
  for (std::size_t i = 0; i < first.vcpus.size(); ++i) first.vcpus[i].tsc = second.vcpus[i].tsc;
  CHECK(first == second);
}

TEST_CASE("a machine that has ended cannot be saved, and is told why") {
  const std::pair<const char*, const char*> cases[] = {{"reset", "the guest is rebooting"},
                                                       {"hello", "the guest is powering off"},
                                                       {"panic", "the guest's kernel panicked"},
                                                       {"triple_fault", "the guest crashed"}};
  for (const auto& [name, reason] : cases) {
    INFO(name);
    Transcript console;
    const auto machine = Machine::create(guest(name), {console}).value();
    machine->start();
    machine->wait();
    const auto paused = machine->pause().value();
    const auto saved = machine->save(paused);
    REQUIRE_FALSE(saved);
    CHECK(saved.error().kind() == base::ErrorKind::kInvalidState);
    CHECK(saved.error().message().find(reason) == 0);
  }
}

}  // namespace
}  // namespace stasis::vmm
