#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "base/guest_memory.h"
#include "base/result.h"

namespace stasis::devices {

/// A wire to an interrupt controller. Threads: any. Never blocks.
class InterruptLine {
 public:
  virtual ~InterruptLine() = default;

  /// Drives the wire. An edge-triggered input sees the change from false to true.
  virtual void set_level(bool asserted) = 0;

  /// One edge.
  void pulse() {
    set_level(true);
    set_level(false);
  }
};

/// What a message-signalled interrupt writes (PCI Local Bus 3.0, section 6.8).
struct MsiMessage {
  std::uint64_t address = 0;
  std::uint32_t data = 0;
  bool operator==(const MsiMessage&) const = default;
};

/// One message-signalled interrupt source of one device.
class MsiVector {
 public:
  virtual ~MsiVector() = default;

  /// Where signals go from now on. Called by one thread at a time, when the guest programs the
  /// MSI-X table. Costs up to milliseconds, so not for every mask and unmask.
  virtual void route(const MsiMessage& message) = 0;

  /// Sends the routed message; dropped before the first `route`. Threads: any. Never blocks.
  virtual void signal() = 0;
};

/// Hands out MSI sources at assembly time, in order, so that the same configuration gets the same
/// ones again.
class MsiVectors {
 public:
  virtual ~MsiVectors() = default;
  virtual base::Result<std::unique_ptr<MsiVector>> make_vector() = 0;
};

/// Turns guest writes to an address into eventfd counts without leaving the kernel (ioeventfd).
/// An address without a doorbell still reaches the device as an ordinary access.
class Doorbells {
 public:
  virtual ~Doorbells() = default;

  /// Any write of any width to `address` in memory space counts up `eventfd`.
  virtual base::Status attach(base::GuestAddress address, const base::Fd& eventfd) = 0;
  virtual void detach(base::GuestAddress address, const base::Fd& eventfd) = 0;
};

}  // namespace stasis::devices
