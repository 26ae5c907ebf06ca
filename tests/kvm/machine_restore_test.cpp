#include "vmm/machine_restore.h"

#include <unistd.h>

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "tests/kvm/test_machine.h"
#include "tests/kvm/tiny_vm.h"
#include "vmm/host_needs.h"
#include "vmm/kvm/host_instance.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Machine> restored(const MachineConfig& config, Transcript& console, Saved& saved,
                                  ClockPolicy clock = ClockPolicy::kCatchUp,
                                  bool new_generation = true) {
  auto machine =
      Machine::restore(config, {console}, saved.ram,
                       {.state = saved.state, .clock = clock, .new_generation = new_generation});
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
      const PlatformState platform = machine->save(paused).value().platform;
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

/// Runs the guest to its end, moving it to a new machine at each of up to 60 stops, whose number it
/// returns.
int run_and_move(const MachineConfig& config, Transcript& console) {
  auto machine = Machine::create(config, {console}).value();
  int moves = 0;
  for (machine->start(); !machine->ending();) {
    std::unique_ptr<Saved> saved;
    {
      const auto paused = machine->pause().value();
      if (machine->ending()) break;
      saved = std::make_unique<Saved>(save_and_end(*machine, paused));
    }
    machine.reset();
    machine = restored(config, console, *saved, ClockPolicy::kCatchUp, false);
    machine->start();
    std::this_thread::sleep_for(moves % 3 * 300us);
    if (++moves == 60) machine->wait();
  }
  INFO(moves << " moves");
  CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
  return moves;
}

/// On a busy host the guest may be through before it is stopped for the first time: then once more.
std::string printed_while_moved(const MachineConfig& config) {
  for (int run = 0; run < 20; ++run) {
    Transcript console;
    if (run_and_move(config, console) > 0) return console.text();
  }
  return "never moved";
}

// Timers, PCI configuration, power management in mid-access.
TEST_CASE("a guest that is moved to a new machine again and again does what it always does") {
  for (const char* name : {"timer", "pci_scan", "acpi_walk", "long_mode"}) {
    INFO(name);
    CHECK(printed_while_moved(guest(name)) == all_of(name));
  }
}

TEST_CASE("processors that are being started are moved, and all come up") {
  auto config = guest("smp");
  config.cpus = 4;
  config.cmdline = "cpus=4";
  std::istringstream lines(printed_while_moved(config));
  std::vector<std::string> sorted;
  for (std::string line; std::getline(lines, line);) sorted.push_back(line);
  std::sort(sorted.begin(), sorted.end());
  CHECK(sorted ==
        std::vector<std::string>{"processor 1", "processor 2", "processor 3", "processors: 4"});
}

/// How far the clocks of a machine restored by `policy` are ahead of the saved ones.
struct Ahead {
  std::chrono::nanoseconds host;  // that has really passed
  std::chrono::nanoseconds guest;
  std::chrono::nanoseconds rtc;
  std::int64_t counts;
  std::uint64_t khz;
};

Ahead clocks_of_restored(Saved& saved, ClockPolicy policy) {
  Transcript console;
  const auto machine = restored(guest("counter"), console, saved, policy);
  const auto paused = machine->pause().value();
  const MachineState now = machine->save(paused).value();
  const auto& old_clock = saved.state.vm.clock;
  const auto rtc_ns = [](const MachineState& state) {
    return state.platform.rtc.offset_seconds * 1'000'000'000 +
           state.platform.rtc.offset_nanoseconds +
           static_cast<std::int64_t>(state.vm.clock.realtime_ns);
  };
  return {std::chrono::nanoseconds(now.vm.clock.realtime_ns - old_clock.realtime_ns),
          std::chrono::nanoseconds(now.vm.clock.guest_ns - old_clock.guest_ns),
          std::chrono::nanoseconds(rtc_ns(now) - rtc_ns(saved.state)),
          static_cast<std::int64_t>(now.vcpus[0].tsc - saved.state.vcpus[0].tsc),
          saved.state.vcpus[0].tsc_khz};
}

TEST_CASE("a restored guest's clocks catch up or go on where they stopped, all alike") {
  Transcript before;
  Saved saved = counting(before);
  std::this_thread::sleep_for(500ms);
  const auto counted = [](const Ahead& ahead) {
    return std::chrono::nanoseconds(ahead.counts * 1'000'000 /
                                    static_cast<std::int64_t>(ahead.khz));
  };
  const Ahead caught_up = clocks_of_restored(saved, ClockPolicy::kCatchUp);
  CHECK(std::chrono::abs(caught_up.host - caught_up.guest) < 250ms);
  CHECK(std::chrono::abs(caught_up.host - caught_up.rtc) < 250ms);
  CHECK(std::chrono::abs(counted(caught_up) - caught_up.guest) < 5ms);
  const Ahead frozen = clocks_of_restored(saved, ClockPolicy::kFreeze);
  CHECK(frozen.guest >= 0ms);
  CHECK(frozen.host - frozen.guest >= 500ms);
  CHECK(frozen.rtc >= 0ms);
  CHECK(frozen.host - frozen.rtc >= 500ms);
  if (TinyVm({0xF4}).can_set_tsc()) {
    CHECK(std::chrono::abs(counted(frozen) - frozen.guest) < 5ms);
  }
}

// A kernel that does not know the PIC must not get a device's interrupt as exception 1 (T57).
TEST_CASE("the event of a new generation waits for a guest that is not ready for it") {
  Transcript before;
  Saved saved = counting(before);
  Transcript after;
  const auto machine = restored(guest("counter"), after, saved);
  const auto paused = machine->pause().value();
  const MachineState state = machine->save(paused).value();
  kvm_pic_state slave{};
  std::memcpy(&slave, state.vm.pic_slave.data(), sizeof slave);
  CHECK(slave.imr == 0xFF);
  CHECK(slave.irr == 1U << (layout::kEventsGsi - 8));
  CHECK(machine->selftest(paused));
}

TEST_CASE("a clock that was ahead of this host's does not send the guest back") {
  Transcript before;
  Saved saved = counting(before);
  saved.state.vm.clock.realtime_ns += 3'600'000'000'000;
  CHECK(clocks_of_restored(saved, ClockPolicy::kCatchUp).guest >= 0ms);
}

TEST_CASE("a configuration other than the saved one is refused, and the item named") {
  Transcript console;
  const ScratchDisk disk;
  auto config = guest("counter");
  config.disks = {{.path = disk.path, .read_only = false, .id = ""}};
  auto machine = Machine::create(config, {console}).value();
  Saved saved = save_and_end(*machine, machine->pause().value());
  machine.reset();
  std::string item;
  auto other = config;
  SECTION("vCPUs") {
    other.cpus = 2;
    item = "vCPUs: 2 in the configuration, 1 in the saved state";
  }
  SECTION("memory") {
    other.memory_bytes *= 2;
    item = "bytes of memory: 67108864 in the configuration, 33554432 in the saved state";
  }
  SECTION("a device less") {
    other.disks.clear();
    item = "PCI device 2: nothing in the configuration, virtio-blk in the saved state";
  }
  SECTION("a device more") {
    other.console.port = ConsoleConfig::Port::kVirtio;
    item = "PCI device 3: virtio-console in the configuration, nothing in the saved state";
  }
  SECTION("another device") {
    other.rng = false;
    item = "PCI device 1: virtio-blk in the configuration, virtio-rng in the saved state";
  }
  const auto refused = Machine::restore(other, {console}, saved.ram, {.state = saved.state});
  REQUIRE_FALSE(refused);
  INFO(refused.error().message());
  CHECK(refused.error().message().find(item) != std::string::npos);
}

TEST_CASE("what this host lacks is named, and nothing is left behind") {
  Transcript before;
  Saved saved = counting(before);
  saved.state.host = GENERATE(std::string(), std::string("another"), host_instance());
  std::string item;
  SECTION("a CPU feature") {
    if (saved.state.is_of(host_instance())) return;  // believed to have been seen here
    for (CpuidEntry& entry : saved.state.vcpus[0].cpuid) {
      if (entry.function == 1) entry.ecx |= 1U << 16;  // reserved: no CPU has it
    }
    item = "CPUID leaf 0x1 ECX bit 16: ";
  }
  SECTION("a register") {
    saved.state.vcpus[0].msrs.push_back({0xDEAD'BEEF, 1});
    item = "MSR 0xdeadbeef";
  }
  SECTION("the size of the XSAVE area") {
    saved.state.vcpus[0].xsave.resize(11 * 1024);
    item = "XSAVE2";
  }
  SECTION("the rate of the counter") {
    saved.state.vcpus[0].tsc_khz *= 2;
    item = "TSC: saved at";
  }
  Transcript after;
  const auto refused =
      Machine::restore(guest("counter"), {after}, saved.ram, {.state = saved.state});
  if (KvmSystem::open().value().check(KVM_CAP_TSC_CONTROL) > 0 && item[0] == 'T') return;
  REQUIRE_FALSE(refused);
  INFO(refused.error().message());
  CHECK(refused.error().kind() == base::ErrorKind::kUnsupported);
  CHECK((refused.error().message().find(item) != std::string::npos ||
         refused.error().message().find("XSAVE area") == 0));
}

TEST_CASE("this host can do what a machine of its own needs") {
  Transcript before;
  Saved saved = counting(before);
  HostNeeds needs = host_needs(saved.state);
  const auto checked = check_host(needs);
  INFO((checked ? "" : checked.error().message()));
  CHECK(checked);
  needs.capabilities.push_back("KVM_CAP_TIME_TRAVEL");
  CHECK(check_host(needs).error().message().find("KVM_CAP_TIME_TRAVEL: not known") == 0);
}

TEST_CASE("a state names the host, this boot of it and its KVM") {
  Transcript before;
  const Saved saved = counting(before);
  std::string boot;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
  CHECK(saved.state.host == host_instance());
  CHECK((saved.state.host.empty() || saved.state.host.find(boot + " kvm ") == 0));
}

TEST_CASE("a state from the middle of a reboot is refused") {
  Transcript before;
  Saved saved = counting(before);
  saved.state.platform.acpi_pm.request = devices::PowerRequest::kReset;
  Transcript after;
  const auto refused =
      Machine::restore(guest("counter"), {after}, saved.ram, {.state = saved.state});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message() == "the state was saved while the guest is rebooting");
}

// --- In another process --------------------------------------------------------------------------

constexpr const char* kHandOver = "STASIS_HAND_OVER";  // a folder with the sections and the memory

void write_file(const std::string& path, const void* bytes, std::size_t size) {
  std::ofstream(path, std::ios::binary)
      .write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
}

class RamFile final : public RamSource {
 public:
  explicit RamFile(std::string path) : path_(std::move(path)) {}
  base::Status fill(const std::vector<base::MemoryRegion>& regions) override {
    std::ifstream in(path_, std::ios::binary);
    for (const auto& region : regions) {
      in.read(reinterpret_cast<char*>(region.bytes.data()),
              static_cast<std::streamsize>(region.bytes.size()));
    }
    return in ? base::Status() : base::fail(base::ErrorKind::kIo, "short memory file");
  }

 private:
  const std::string path_;
};

/// The other process: restores what is in the folder, and prints what the guest prints.
TEST_CASE("restored in another process", "[.]") {
  const std::string folder = std::getenv(kHandOver);
  std::vector<StateSection> sections;
  std::ifstream names(folder + "/names");
  for (std::string name; names >> name;) {
    std::ifstream in(fmt::format("{}/{}", folder, name), std::ios::binary);
    sections.push_back({name, {std::istreambuf_iterator<char>(in), {}}});
  }
  const auto state = decode_machine_state(sections).value();
  RamFile ram(folder + "/ram");
  Transcript console;
  auto machine = Machine::restore(guest("counter"), {console}, ram, {.state = state}).value();
  machine->start();
  CHECK(machine->wait().kind == Ending::Kind::kPowerOff);
  const std::string text = console.text();
  write_file(folder + "/printed", text.data(), text.size());
}

TEST_CASE("a guest goes on in a fresh process") {
  Transcript before;
  const Saved saved = counting(before);
  std::string folder = "/tmp/stasis-state-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  std::string names;
  for (const auto& section : encode_machine_state(saved.state)) {
    write_file(folder + "/" + section.name, section.cbor.data(), section.cbor.size());
    names += section.name + "\n";
  }
  write_file(folder + "/names", names.data(), names.size());
  write_file(folder + "/ram", saved.ram.copies()[0].data(), saved.ram.copies()[0].size());
  const std::string command = std::string(kHandOver) + "=" + folder + " /proc/" +
                              std::to_string(::getpid()) +
                              "/exe 'restored in another process' > /dev/null";
  CHECK(std::system(command.c_str()) == 0);
  std::ifstream in(folder + "/printed");
  const std::string printed{std::istreambuf_iterator<char>(in), {}};
  const std::string text = before.text() + printed;
  CHECK(text.find("\n40 " + before.text().substr(2, 8) + "\n") != std::string::npos);
  CHECK(printed.find("1 ") != 0);
  static_cast<void>(std::system(("rm -r " + folder).c_str()));
}

}  // namespace
}  // namespace stasis::vmm
