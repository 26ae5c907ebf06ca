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
  std::uint16_t next_available = 0;    ///< next available index the device will take
  std::uint16_t next_used = 0;         ///< next used index the device will publish
  std::uint16_t signalled_used = 0;    ///< used index at the last look at interrupt suppression
  bool signalled_used_lapped = false;  ///< that was 65536 pushes ago: the difference says nothing
  bool kicks_disabled = false;         ///< the device asked the driver not to kick
  bool broken = false;                 ///< the driver broke the rules; nothing is taken any more
  bool operator==(const VirtQueueState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [n, rdy, desc, avail, used, na, nu, su, lap, quiet, brk] = self;
    fields("size", n)("ready", rdy)("descriptor_table", desc)("available_ring", avail)(
        "used_ring", used)("next_available", na)("next_used", nu)("signalled_used", su)(
        "signalled_used_lapped", lap)("kicks_disabled", quiet)("broken", brk);
  }
  // Ring contents are the guest's: what a state may say about them is checked when it is used.
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

/// The largest ring of virtio 1.2, section 2.7.
inline constexpr std::uint16_t kMaxVirtQueueSize = 32768;

/// Whether `state` describes rings that fit: size a power of two, each ring aligned as section 2.7
/// says and all of it RAM. `event_index` adds the two event fields at the rings' ends.
bool rings_are_valid(const base::GuestMemory& memory, bool event_index,
                     const VirtQueueState& state);

/// The device's side of a split virtqueue, with indirect descriptors and event-idx.
/// Threads: one at a time (the device's event loop, or anyone while that is parked).
/// A ring that breaks the rules (loops, addresses outside RAM, writable before readable, absurd
/// indices) marks the queue broken: nothing more is taken until reset, the VM goes on.
class VirtQueue {
 public:
  /// `event_index`: VIRTIO_F_EVENT_IDX was negotiated. A state that is not `ready` gives an empty
  /// queue, one whose rings are not valid a broken one. `memory` must outlive the queue.
  VirtQueue(const base::GuestMemory& memory, bool event_index, VirtQueueState state);

  /// Takes the next request, if there is one. Finding none asks for a kick with the next request,
  /// unless kicks are disabled.
  std::optional<DescriptorChain> pop();

  /// Returns a request to the driver with `written` bytes put into its writable part. Works on a
  /// broken queue too: what was taken before may be finished.
  void push(const DescriptorChain& chain, std::uint32_t written);
  void push(std::uint16_t head, std::uint32_t written);

  /// Whether the pushes since the last call ask for an interrupt (section 2.7.7).
  bool take_interrupt();

  /// Asks the driver not to kick, or to kick again. `enable_kicks` returns true when requests came
  /// in meanwhile, so that the caller pops once more instead of losing them.
  void disable_kicks();
  bool enable_kicks();

  bool is_ready() const { return state_.ready && !state_.broken; }
  bool is_broken() const { return state_.broken; }
  const VirtQueueState& state() const { return state_; }

 private:
  std::uint16_t available_index() const;
  bool request_kick();
  std::optional<DescriptorChain> take(std::uint16_t available);
  bool read_chain(std::uint16_t head, DescriptorChain& chain) const;

  const base::GuestMemory* memory_;
  bool event_index_;
  VirtQueueState state_;
};

}  // namespace stasis::devices
