#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/guest_memory.h"
#include "devices/event_loop.h"
#include "devices/virtio/virt_queue.h"

namespace stasis::devices {

/// Features are numbered; sets of them are masks.
constexpr std::uint64_t feature_bit(unsigned number) {
  return std::uint64_t{1} << number;
}

/// What a running device sees of its transport. Valid from `start` to `stop`.
/// Threads: the device's event loop.
class VirtioSession {
 public:
  virtual ~VirtioSession() = default;
  virtual const base::GuestMemory& memory() const = 0;
  virtual std::uint64_t features() const = 0;  ///< what both sides agreed on
  virtual VirtQueue& queue(unsigned index) = 0;

  /// Interrupts the driver if the pushes on this queue ask for it.
  virtual void interrupt_if_needed(unsigned queue_index) = 0;
};

/// Interrupts the driver for a changed device configuration (virtio 1.2, section 2.4).
/// Threads: any, also while no session is running (then it is remembered by the generation only).
class ConfigChangeNotifier {
 public:
  virtual ~ConfigChangeNotifier() = default;
  virtual void config_changed() = 0;
};

/// The device part of a virtio device; the transport (virtio-pci) has rings, features and
/// interrupts. Concrete devices also have `State`, `Wiring` and `save()`
/// (devices/checkpointable.h). Threads: as said at each member. `config` functions may run at the
/// same time as the loop.
class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;

  virtual std::string_view name() const = 0;      ///< "virtio-blk \"root\""
  virtual std::uint16_t device_type() const = 0;  ///< VIRTIO_ID_*
  virtual std::uint64_t offered_features()
      const = 0;  ///< without the transport's own bits (24..41)
  virtual std::vector<std::uint16_t> queue_sizes() const = 0;  ///< maximum entries, one a queue
  virtual EventLoop& loop() = 0;                               ///< where this device works

  /// Device configuration space; beyond its end reads are zero and writes ignored. vCPU threads.
  virtual void read_config(std::uint64_t offset, std::span<std::byte> out) = 0;
  virtual void write_config(std::uint64_t offset, std::span<const std::byte> in) = 0;

  /// DRIVER_OK, or restored in that state. On the loop's thread.
  virtual void start(VirtioSession& session) = 0;

  /// Reset: on return no request is in flight, guest RAM and the session are not touched again.
  /// On the loop's thread.
  virtual void stop() = 0;

  /// The driver kicked this queue (or may have). On the loop's thread.
  virtual void queue_kicked(unsigned queue_index) = 0;

  /// Before the vCPUs are stopped for a snapshot, so that they need not wait for host I/O: what is
  /// in flight is finished, and nothing more is taken from the rings until `release`. On the loop's
  /// thread. May wait up to a few seconds; false when that was not enough.
  virtual bool hold() { return true; }
  /// Also without `hold`.
  virtual void release() {}

  /// Before a snapshot, with the vCPUs stopped: what is in flight is finished and published in the
  /// rings, or will be taken again from them. With the loop parked. May wait up to a few seconds
  /// for host I/O; false when that was not enough.
  virtual bool quiesce() { return true; }
};

}  // namespace stasis::devices
