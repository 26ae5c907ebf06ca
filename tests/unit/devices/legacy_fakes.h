#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "devices/byte_stream.h"
#include "devices/interrupts.h"
#include "devices/io_handler.h"
#include "devices/machine_events.h"

namespace stasis::devices {

/// An interrupt wire that remembers.
class FakeLine final : public InterruptLine {
 public:
  void set_level(bool asserted) override {
    if (asserted && !level) ++rises;
    level = asserted;
    ++calls;
  }
  bool level = false;
  int rises = 0;
  int calls = 0;
};

class FakeEvents final : public MachineEvents {
 public:
  void reset_requested() override { ++resets; }
  void power_off_requested() override { ++power_offs; }
  void guest_panicked(GuestPanic panic) override { panics.push_back(panic); }
  int resets = 0;
  int power_offs = 0;
  std::vector<GuestPanic> panics;
};

class FakeSink final : public ByteSink {
 public:
  void write(std::span<const std::uint8_t> bytes) override {
    text.append(bytes.begin(), bytes.end());
  }
  std::string text;
};

inline std::uint8_t in(IoHandler& device, std::uint64_t offset) {
  return static_cast<std::uint8_t>(device.read({offset, 1}));
}

inline void out(IoHandler& device, std::uint64_t offset, unsigned value) {
  device.write({offset, 1}, value);
}

}  // namespace stasis::devices
