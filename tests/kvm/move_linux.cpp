/// Boots a Linux guest and, while it runs, saves its state, tests it, and goes on in another
/// machine that is restored from it: again and again, until the guest powers off;
/// a guest that reboots is booted anew.
///
///     move-linux KERNEL INITRD CMDLINE CPUS MEMORY_MIB DISK|- user|none INTERVAL_MS
///
/// The guest's console goes to standard output. Exit status: 0 when it powered off by itself and
/// every test of its state passed.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "tests/kvm/test_machine.h"

namespace stasis::vmm {
namespace {

class StandardOutput final : public devices::ByteSink {
 public:
  void write(std::span<const std::uint8_t> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
      if (written <= 0) return;
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
};

MachineConfig config_of(char** arguments) {
  MachineConfig config;
  config.kernel = arguments[0];
  config.initrd = arguments[1];
  config.cmdline = arguments[2];
  config.cpus = static_cast<unsigned>(std::stoul(arguments[3]));
  config.memory_bytes = std::stoull(arguments[4]) << 20;
  if (std::strcmp(arguments[5], "-") != 0) {
    config.disks.push_back({.path = arguments[5], .read_only = false, .id = ""});
  }
  if (std::strcmp(arguments[6], "user") == 0) config.net.emplace();
  return config;
}

/// Moves the machine; false when it has ended meanwhile or a test failed.
bool move(std::unique_ptr<Machine>& machine, const MachineConfig& config, Machine::Io io) {
  std::unique_ptr<Saved> saved;
  {
    const auto paused = machine->pause().value();
    if (machine->ending()) return false;
    const auto tested = machine->selftest(paused);
    std::printf("\nMOVE: %s\n", (tested ? *tested : tested.error().message()).c_str());
    std::fflush(stdout);
    if (!tested) std::exit(1);
    saved = std::make_unique<Saved>(*machine, paused);
    machine->end({Ending::Kind::kStopped, "moved"});
  }
  machine.reset();  // its disks are free from here on
  auto next = Machine::restore(config, io, saved->ram, {.state = saved->state});
  if (!next) {
    std::printf("\nMOVE: FAIL: %s\n", next.error().message().c_str());
    std::exit(1);
  }
  machine = std::move(*next);
  machine->start();
  return true;
}

std::unique_ptr<Machine> boot(const MachineConfig& config, Machine::Io io) {
  auto machine = Machine::create(config, io);
  if (!machine) {
    std::printf("%s\n", machine.error().message().c_str());
    std::exit(1);
  }
  (*machine)->start();
  return std::move(*machine);
}

bool wants_reboot(const Machine& machine) {
  const auto ending = machine.ending();
  return ending && ending->kind == Ending::Kind::kReset;
}

int run(const MachineConfig& config, int interval_ms) {
  StandardOutput console;
  auto machine = boot(config, {console});
  int moves = 0;
  while (true) {
    pollfd ended{machine->ended_event().get(), POLLIN, 0};
    ::poll(&ended, 1, interval_ms);
    if (!machine->ending() && move(machine, config, {console})) {
      ++moves;
    } else if (wants_reboot(*machine)) {
      machine.reset();
      machine = boot(config, {console});
    } else {
      break;
    }
  }
  const bool good = machine->ending() && machine->ending()->kind == Ending::Kind::kPowerOff;
  std::printf("\nMOVE: %d moves, %s\n", moves, good ? "powered off" : "FAIL");
  return good && moves > 0 ? 0 : 1;
}

}  // namespace
}  // namespace stasis::vmm

int main(int argc, char** argv) {
  if (argc != 9) {
    std::fputs("usage: move-linux KERNEL INITRD CMDLINE CPUS MEMORY_MIB DISK NET INTERVAL_MS\n",
               stderr);
    return 2;
  }
  return stasis::vmm::run(stasis::vmm::config_of(argv + 1), std::stoi(argv[8]));
}
