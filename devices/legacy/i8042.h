#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/result.h"
#include "devices/checkpointable.h"
#include "devices/legacy/byte_io_handler.h"
#include "devices/machine_events.h"

namespace stasis::devices {

struct I8042State {
  static constexpr std::string_view kName = "i8042";
  static constexpr std::uint32_t kVersion = 1;

  std::uint8_t command_byte = 0x70;  ///< translate, both interfaces disabled, no interrupts
  std::uint8_t output_port = 0x03;   ///< bit 0: not in reset, bit 1: A20 open
  std::uint8_t output_buffer = 0;    ///< the byte for port 0x60
  bool output_full = false;          ///< status bit 0
  bool self_tested = false;          ///< status bit 2
  bool last_was_command = false;     ///< status bit 3
  std::uint8_t awaiting = 0;         ///< command whose parameter comes next; 0: none
  bool reset_requested = false;      ///< by the guest, and not done yet

  bool operator==(const I8042State&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a, b, c, d, e, f, g, h] = self;
    fields("command_byte", a)("output_port", b)("output_buffer", c)("output_full", d)(
        "self_tested", e)("last_was_command", f)("awaiting", g)("reset_requested", h);
  }
  base::Status validate() const;
};

/// Keyboard controller (Intel 8042 as IBM programmed it: PS/2 Hardware Interface Technical
/// Reference, "Keyboard and Auxiliary Device Controller") without keyboard or mouse: what a guest
/// needs to reset the machine (command 0xFE, any pulse of output-port bit 0, or writing that bit)
/// and to find a controller that works.
/// Missing: both devices, so bytes for them are dropped and no interrupt exists; the controller's
/// RAM beyond byte 0; the A20 gate has no effect.
/// Threads: any. Saved: I8042State, a reset under way included.
class I8042 final {
 public:
  using State = I8042State;
  struct Wiring {
    MachineEvents& events;
  };

  explicit I8042(Wiring wiring, State state = {});

  /// One-byte handlers for ports 0x60 and 0x64 (the ports between are other chips'). They live as
  /// long as the controller.
  IoHandler& data_port() { return data_port_; }
  IoHandler& command_port() { return command_port_; }

  State save() const;

 private:
  class Port final : public ByteIoHandler {
   public:
    Port(I8042& chip, bool is_command) : chip_(chip), is_command_(is_command) {}
    std::string_view name() const override { return is_command_ ? "i8042 command" : "i8042 data"; }

   private:
    std::uint8_t read_byte(std::uint64_t offset) override;
    void write_byte(std::uint64_t offset, std::uint8_t value) override;

    I8042& chip_;
    const bool is_command_;
  };

  std::uint8_t read(bool is_command);
  void write(bool is_command, std::uint8_t value);

  const Wiring wiring_;
  mutable std::mutex mutex_;
  State state_;  // guarded by mutex_
  Port data_port_{*this, false};
  Port command_port_{*this, true};
};
static_assert(Checkpointable<I8042>);

}  // namespace stasis::devices
