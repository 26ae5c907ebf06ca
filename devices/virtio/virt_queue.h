#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/guest_memory.h"

namespace stasis::devices {

/// Everything a split virtqueue is (virtio 1.2, section 2.7), as driver and device worker see it.
struct VirtQueueState {
  std::uint16_t size = 0;              ///< entries, a power of two, at most the device's maximum
  bool ready = false;                  ///< queue_enable
  std::uint64_t descriptor_table = 0;  ///< guest-physical addresses
  std::uint64_t available_ring = 0;
  std::uint64_t used_ring = 0;
  std::uint16_t next_available = 0;  ///< next available index the device will take
  std::uint16_t next_used = 0;       ///< next used index the device will publish
  std::uint16_t signalled_used = 0;  ///< used index at the last look at interrupt suppression
  bool signalled_used_valid = false;
  bool broken = false;  ///< the driver broke the rules; nothing is taken any more
  bool operator==(const VirtQueueState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [n, rdy, desc, avail, used, na, nu, su, suv, brk] = self;
    fields("size", n)("ready", rdy)("descriptor_table", desc)("available_ring", avail)(
        "used_ring", used)("next_available", na)("next_used", nu)("signalled_used", su)(
        "signalled_used_valid", suv)("broken", brk);
  }
};

/// One buffer of a chain: a range of guest-physical memory, checked to be RAM.
struct VirtBuffer {
  base::GuestAddress address;
  std::uint32_t size = 0;
};

/// One request: what the device reads, then what it writes (virtio 1.2, section 2.7.4.2). A copy
/// taken once from the ring; the memory the buffers name may still change at any time.
struct DescriptorChain {
  std::uint16_t head = 0;
  std::vector<VirtBuffer> readable;
  std::vector<VirtBuffer> writable;

  std::uint64_t readable_bytes() const;
  std::uint64_t writable_bytes() const;

  /// Copies from the readable part, `offset` bytes in; returns how many there were.
  std::size_t read(const base::GuestMemory& memory, std::uint64_t offset,
                   std::span<std::byte> out) const;
  /// Copies into the writable part, `offset` bytes in; returns how many fitted.
  std::size_t write(const base::GuestMemory& memory, std::uint64_t offset,
                    std::span<const std::byte> in) const;
};

/// The device's side of a split virtqueue, with indirect descriptors and event-idx.
/// Threads: one at a time (the device's event loop, or anyone while that is parked).
/// A ring that breaks the rules (loops, addresses outside RAM, writable before readable, absurd
/// indices) marks the queue broken: nothing more is taken until reset, the VM goes on.
class VirtQueue {
 public:
  /// `event_index`: VIRTIO_F_EVENT_IDX was negotiated. A state that is not `ready`, or whose rings
  /// are not in RAM, gives an empty queue.
  VirtQueue(const base::GuestMemory& memory, bool event_index, VirtQueueState state);

  /// Takes the next request, if there is one.
  std::optional<DescriptorChain> pop();

  /// Returns a request to the driver with `written` bytes put into its writable part.
  void push(const DescriptorChain& chain, std::uint32_t written);
  void push(std::uint16_t head, std::uint32_t written);

  /// Whether the pushes since the last call ask for an interrupt (section 2.7.7).
  bool take_interrupt();

  /// Asks the driver not to kick, or to kick again. `enable_kicks` returns true when requests came
  /// in meanwhile, so that the caller pops once more instead of losing them.
  void disable_kicks();
  bool enable_kicks();

  bool is_ready() const { return state_.ready && !state_.broken; }
  const VirtQueueState& state() const { return state_; }

 private:
  std::uint16_t load_u16(base::GuestAddress address) const;
  void store_u16(base::GuestAddress address, std::uint16_t value) const;
  bool read_chain(std::uint16_t head, DescriptorChain& chain) const;
  bool walk(base::GuestAddress table, std::uint32_t entries, std::uint16_t first,
            bool may_be_indirect, DescriptorChain& chain) const;

  const base::GuestMemory* memory_;
  bool event_index_;
  VirtQueueState state_;
};

}  // namespace stasis::devices
