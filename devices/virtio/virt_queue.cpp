#include "devices/virtio/virt_queue.h"

#define VIRTIO_RING_NO_LEGACY  // whose inline functions are C only
#include <linux/virtio_ring.h>

#include <algorithm>
#include <atomic>
#include <bit>

namespace stasis::devices {

namespace {

using base::GuestAddress;
using base::GuestMemory;

// Layout of the rings (virtio 1.2, sections 2.7.6 and 2.7.8): flags, index, entries, event field.
constexpr std::uint64_t kFlagsOffset = 0;
constexpr std::uint64_t kIndexOffset = 2;
constexpr std::uint64_t kEntriesOffset = 4;
constexpr std::uint64_t kEventSize = 2;

// Linux may chain more segments in an indirect table than the queue has entries, although section
// 2.7.5.3.1 forbids it. What other implementations bear is enough.
constexpr std::uint32_t kMaxIndirectEntries = 1024;

constexpr std::uint64_t kMaxChainBytes = std::uint64_t{1} << 32;  // section 2.7.4

std::uint64_t available_event_offset(const VirtQueueState& state) {
  return kEntriesOffset + sizeof(vring_used_elem) * state.size;  // at the end of the used ring
}

std::uint64_t used_event_offset(const VirtQueueState& state) {
  return kEntriesOffset + sizeof(std::uint16_t) * state.size;  // at the end of the available ring
}

bool is_aligned_ram(const GuestMemory& memory, std::uint64_t address, std::uint64_t size,
                    std::uint64_t alignment) {
  const auto slice = memory.slice({address}, size);
  if (!slice || address % alignment != 0) return false;
  // The host address decides whether an atomic access is one.
  return reinterpret_cast<std::uintptr_t>(slice->data()) % alignment == 0;
}

/// The rings were found to be RAM when the queue was built and RAM never changes its place, so
/// neither access can miss.
std::uint16_t load_u16(const GuestMemory& memory, std::uint64_t address, std::memory_order order) {
  const auto slice = memory.slice({address}, sizeof(std::uint16_t));
  if (!slice) return 0;
  // atomic_ref wants a mutable object, even for loads.
  auto* place = reinterpret_cast<std::uint16_t*>(const_cast<std::byte*>(slice->data()));
  return std::atomic_ref<std::uint16_t>(*place).load(order);
}

void store_u16(const GuestMemory& memory, std::uint64_t address, std::uint16_t value,
               std::memory_order order) {
  const auto slice = memory.writable_slice({address}, sizeof(std::uint16_t));
  if (!slice) return;
  auto* place = reinterpret_cast<std::uint16_t*>(slice->data());
  std::atomic_ref<std::uint16_t>(*place).store(value, order);
}

/// A walk along `next` through one table of descriptors.
class ChainWalk {
 public:
  ChainWalk(const GuestMemory& memory, DescriptorChain& chain) : memory_(memory), chain_(chain) {}

  /// False when the chain breaks a rule of sections 2.7.5 and 2.7.5.3.
  bool walk(GuestAddress table, std::uint32_t entries, std::uint16_t first, bool may_be_indirect);

 private:
  bool add(const vring_desc& descriptor);
  bool walk_indirect(const vring_desc& descriptor);

  const GuestMemory& memory_;
  DescriptorChain& chain_;
  std::uint64_t bytes_ = 0;
};

bool ChainWalk::walk(GuestAddress table, std::uint32_t entries, std::uint16_t first,
                     bool may_be_indirect) {
  std::uint32_t index = first;
  // A chain visits each entry at most once; one that is longer runs in a circle.
  for (std::uint32_t seen = 0; seen < entries; ++seen) {
    if (index >= entries) return false;
    const auto descriptor = memory_.load<vring_desc>(table + sizeof(vring_desc) * index);
    if (!descriptor) return false;
    if ((descriptor->flags & VRING_DESC_F_INDIRECT) != 0) {
      return may_be_indirect && walk_indirect(*descriptor);
    }
    if (!add(*descriptor)) return false;
    if ((descriptor->flags & VRING_DESC_F_NEXT) == 0) return true;
    index = descriptor->next;
  }
  return false;
}

bool ChainWalk::walk_indirect(const vring_desc& descriptor) {
  const std::uint32_t entries = descriptor.len / sizeof(vring_desc);
  if ((descriptor.flags & VRING_DESC_F_NEXT) != 0 || entries == 0 ||
      entries > kMaxIndirectEntries || descriptor.len % sizeof(vring_desc) != 0) {
    return false;
  }
  return walk({descriptor.addr}, entries, 0, false);
}

bool ChainWalk::add(const vring_desc& descriptor) {
  const bool is_writable = (descriptor.flags & VRING_DESC_F_WRITE) != 0;
  if (!is_writable && !chain_.writable.empty()) return false;  // section 2.7.4.2: readable first
  if (descriptor.len == 0) return true;
  bytes_ += descriptor.len;
  if (bytes_ > kMaxChainBytes || !memory_.slice({descriptor.addr}, descriptor.len)) return false;
  auto& part = is_writable ? chain_.writable : chain_.readable;
  part.push_back({{descriptor.addr}, descriptor.len});
  return true;
}

std::uint64_t sum_of(const std::vector<VirtBuffer>& buffers) {
  std::uint64_t sum = 0;
  for (const VirtBuffer& buffer : buffers) sum += buffer.size;
  return sum;
}

/// Calls `copy(address, position, size)` for the pieces of [offset, offset + total) of `buffers`;
/// returns how many bytes there were.
template <typename Copy>
std::size_t for_each_piece(const std::vector<VirtBuffer>& buffers, std::uint64_t offset,
                           std::size_t total, Copy&& copy) {
  std::size_t done = 0;
  for (const VirtBuffer& buffer : buffers) {
    if (done == total) break;
    if (offset >= buffer.size) {
      offset -= buffer.size;
      continue;
    }
    const auto size = std::min<std::uint64_t>(buffer.size - offset, total - done);
    if (!copy(buffer.address + offset, done, size)) break;
    done += size;
    offset = 0;
  }
  return done;
}

}  // namespace

std::uint64_t DescriptorChain::readable_bytes() const {
  return sum_of(readable);
}

std::uint64_t DescriptorChain::writable_bytes() const {
  return sum_of(writable);
}

std::size_t DescriptorChain::read(const GuestMemory& memory, std::uint64_t offset,
                                  std::span<std::byte> out) const {
  return for_each_piece(readable, offset, out.size(),
                        [&](GuestAddress from, std::size_t at, std::size_t size) {
                          return memory.read(from, out.subspan(at, size));
                        });
}

std::size_t DescriptorChain::write(const GuestMemory& memory, std::uint64_t offset,
                                   std::span<const std::byte> in) const {
  return for_each_piece(writable, offset, in.size(),
                        [&](GuestAddress to, std::size_t at, std::size_t size) {
                          return memory.write(to, in.subspan(at, size));
                        });
}

bool rings_are_valid(const GuestMemory& memory, bool event_index, const VirtQueueState& state) {
  if (!std::has_single_bit(state.size) || state.size > kMaxVirtQueueSize) return false;
  const std::uint64_t event = event_index ? kEventSize : 0;
  return is_aligned_ram(memory, state.descriptor_table, sizeof(vring_desc) * state.size,
                        VRING_DESC_ALIGN_SIZE) &&
         is_aligned_ram(memory, state.available_ring, used_event_offset(state) + event,
                        VRING_AVAIL_ALIGN_SIZE) &&
         is_aligned_ram(memory, state.used_ring, available_event_offset(state) + event,
                        VRING_USED_ALIGN_SIZE);
}

VirtQueue::VirtQueue(const GuestMemory& memory, bool event_index, VirtQueueState state)
    : memory_(&memory), event_index_(event_index), state_(state) {
  if (state_.ready && !rings_are_valid(memory, event_index, state_)) {
    state_.ready = false;
    state_.broken = true;
  }
}

std::uint16_t VirtQueue::available_index() const {
  // Acquire: entries and descriptors are read after the index that published them.
  return load_u16(*memory_, state_.available_ring + kIndexOffset, std::memory_order_acquire);
}

std::optional<DescriptorChain> VirtQueue::pop() {
  if (!is_ready()) return std::nullopt;
  std::uint16_t available = available_index();
  if (available == state_.next_available) {
    if (state_.kicks_disabled || !request_kick()) return std::nullopt;
    available = available_index();
  }
  return take(available);
}

std::optional<DescriptorChain> VirtQueue::take(std::uint16_t available) {
  DescriptorChain chain;
  const auto ahead = static_cast<std::uint16_t>(available - state_.next_available);
  const std::uint64_t slot = state_.next_available % state_.size;
  const auto head =
      load_u16(*memory_, state_.available_ring + kEntriesOffset + sizeof(std::uint16_t) * slot,
               std::memory_order_relaxed);
  const auto outstanding = static_cast<std::uint16_t>(state_.next_available - state_.next_used);
  if (ahead > state_.size || outstanding >= state_.size || !read_chain(head, chain)) {
    state_.broken = true;
    return std::nullopt;
  }
  ++state_.next_available;
  return chain;
}

bool VirtQueue::read_chain(std::uint16_t head, DescriptorChain& chain) const {
  chain.head = head;
  return ChainWalk(*memory_, chain).walk({state_.descriptor_table}, state_.size, head, true);
}

void VirtQueue::push(const DescriptorChain& chain, std::uint32_t written) {
  push(chain.head, written);
}

void VirtQueue::push(std::uint16_t head, std::uint32_t written) {
  if (!state_.ready) return;
  const std::uint64_t slot = state_.next_used % state_.size;
  memory_->store({state_.used_ring + kEntriesOffset + sizeof(vring_used_elem) * slot},
                 vring_used_elem{head, written});
  ++state_.next_used;
  if (state_.next_used == state_.signalled_used) state_.signalled_used_lapped = true;
  // Release: the driver sees the data and the entry before the index that publishes them.
  store_u16(*memory_, state_.used_ring + kIndexOffset, state_.next_used, std::memory_order_release);
}

bool VirtQueue::take_interrupt() {
  const std::uint16_t before = state_.signalled_used;
  const bool lapped = state_.signalled_used_lapped;
  if (!state_.ready || (before == state_.next_used && !lapped)) return false;
  state_.signalled_used = state_.next_used;
  state_.signalled_used_lapped = false;
  // Full fence: the used index must be visible before we look whether the driver wants to hear of
  // it. The driver does the opposite; without the fences both could miss each other.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (!event_index_) {
    const auto flags =
        load_u16(*memory_, state_.available_ring + kFlagsOffset, std::memory_order_relaxed);
    return (flags & VRING_AVAIL_F_NO_INTERRUPT) == 0;
  }
  const auto event = load_u16(*memory_, state_.available_ring + used_event_offset(state_),
                              std::memory_order_relaxed);
  return lapped || vring_need_event(event, state_.next_used, before) != 0;
}

void VirtQueue::disable_kicks() {
  if (!is_ready() || state_.kicks_disabled) return;
  state_.kicks_disabled = true;
  // With event-idx the event field just stays behind, which is as quiet (section 2.7.10).
  if (event_index_) return;
  store_u16(*memory_, state_.used_ring + kFlagsOffset, VRING_USED_F_NO_NOTIFY,
            std::memory_order_relaxed);
}

bool VirtQueue::enable_kicks() {
  if (!is_ready()) return false;
  if (state_.kicks_disabled && !event_index_) {
    store_u16(*memory_, state_.used_ring + kFlagsOffset, 0, std::memory_order_relaxed);
  }
  state_.kicks_disabled = false;
  return request_kick();
}

/// Asks for a kick with the next request; true when it is there already.
bool VirtQueue::request_kick() {
  if (event_index_) {
    store_u16(*memory_, state_.used_ring + available_event_offset(state_), state_.next_available,
              std::memory_order_relaxed);
  }
  // Full fence: the wish must be visible before the last look, or a request that comes in between
  // is kicked for by nobody.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return available_index() != state_.next_available;
}

}  // namespace stasis::devices
