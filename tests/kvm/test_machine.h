#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "devices/byte_stream.h"
#include "vmm/machine.h"
#include "vmm/machine_state.h"

namespace stasis::vmm {

/// What the guest printed.
class Transcript final : public devices::ByteSink {
 public:
  void write(std::span<const std::uint8_t> bytes) override {
    const std::lock_guard lock(mutex_);
    text_.append(bytes.begin(), bytes.end());
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  /// Waits until `word` was printed; false when that takes more than ten seconds.
  bool wait_for(const std::string& word) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (text().find(word) == std::string::npos) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return true;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

/// One of tests/guests.
inline MachineConfig guest(const std::string& name) {
  MachineConfig config;
  config.kernel = std::string(std::getenv("STASIS_GUESTS")) + "/" + name + ".elf";
  config.cmdline = "console=ttyS0";
  config.memory_bytes = std::uint64_t{32} << 20;
  return config;
}

/// A raw disk of 1 MiB.
struct ScratchDisk {
  ScratchDisk() {
    STASIS_CHECK(::close(::mkstemp(path.data())) == 0);
    STASIS_CHECK(::truncate(path.c_str(), 1 << 20) == 0);
  }
  ~ScratchDisk() { ::unlink(path.c_str()); }
  std::string path = "/tmp/stasis-disk-XXXXXX";
};

/// A copy of a machine's memory.
class RamCopy final : public RamSource {
 public:
  explicit RamCopy(const GuestRam& ram) {
    for (const auto& region : ram.regions()) {
      copies_.emplace_back(region.bytes.begin(), region.bytes.end());
    }
  }
  base::Status fill(const std::vector<base::MemoryRegion>& regions) override {
    STASIS_CHECK(regions.size() == copies_.size());
    for (std::size_t i = 0; i < regions.size(); ++i) {
      std::copy(copies_[i].begin(), copies_[i].end(), regions[i].bytes.begin());
    }
    return {};
  }
  const std::vector<std::vector<std::byte>>& copies() const { return copies_; }

 private:
  std::vector<std::vector<std::byte>> copies_;
};

/// All of a machine at one moment.
struct Saved {
  Saved(Machine& machine, const PausedMachine& paused)
      : state(machine.save(paused).value()), ram(machine.ram(paused)) {}

  MachineState state;
  RamCopy ram;
};

}  // namespace stasis::vmm
