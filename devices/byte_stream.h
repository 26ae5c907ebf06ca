#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace stasis::devices {

/// Takes the bytes a guest sends. Threads: any. Must not block for long: a vCPU waits.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::uint8_t> bytes) = 0;
};

/// Told by a receiver that it has room again. Threads: any.
class InputGate {
 public:
  virtual ~InputGate() = default;
  virtual void room_again() = 0;
};

/// A device that takes bytes for the guest. Threads: any.
class ByteReceiver {
 public:
  virtual ~ByteReceiver() = default;

  /// Takes as many bytes as fit and returns how many. When that is fewer than all, the gate is told
  /// once there is room.
  virtual std::size_t receive(std::span<const std::uint8_t> bytes) = 0;

  /// Who to tell; null for nobody.
  virtual void set_input_gate(InputGate* gate) = 0;
};

}  // namespace stasis::devices
