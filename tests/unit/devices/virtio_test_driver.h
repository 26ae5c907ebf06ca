#pragma once

#include <linux/virtio_config.h>
#ifndef VIRTIO_RING_NO_LEGACY
#define VIRTIO_RING_NO_LEGACY  // whose inline functions are C only
#endif
#include <linux/virtio_ring.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/guest_memory.h"
#include "devices/virtio/virt_queue.h"
#include "devices/virtio/virtio_device.h"

/// The driver's side of virtio, for tests of devices and of the transport.
namespace stasis::devices::testing {

using Bytes = std::vector<std::byte>;

inline Bytes to_bytes(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

inline std::string to_text(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Guest RAM of a test, from `kStart` on; hands out pieces of itself and remembers dirty marks.
class TestRam : public base::DirtyMarks {
 public:
  static constexpr std::uint64_t kStart = 0x10'0000;

  explicit TestRam(std::size_t size = std::size_t{8} << 20)
      : bytes_(size), memory_({{{kStart}, bytes_}}, this) {}

  const base::GuestMemory& memory() const { return memory_; }

  /// A fresh piece of RAM, aligned to 64 bytes; never given back.
  base::GuestAddress allocate(std::uint64_t size) {
    const base::GuestAddress found{kStart + next_};
    next_ += (size + 63) / 64 * 64;
    REQUIRE(next_ <= bytes_.size());
    return found;
  }

  /// Past the end of RAM.
  base::GuestAddress end() const { return {kStart + bytes_.size()}; }

  Bytes read(base::GuestAddress start, std::size_t size) const {
    Bytes out(size);
    REQUIRE(memory_.read(start, out));
    return out;
  }

  // What the guest writes itself is not marked: these go behind the accessor's back.
  void poke(base::GuestAddress start, std::span<const std::byte> in) {
    std::copy(in.begin(), in.end(), bytes_.data() + (start.value - kStart));
  }
  template <typename T>
  void poke_value(base::GuestAddress start, T value) {
    poke(start, std::as_bytes(std::span(&value, 1)));
  }
  template <typename T>
  T peek(base::GuestAddress start) const {
    return memory_.load<T>(start).value();
  }
  /// The indices that driver and device hand the rings over by (virtio 1.2, section 2.7.6): atomic,
  /// so that a device on its own thread sees what was written before them.
  void poke_index(base::GuestAddress start, std::uint16_t value) {
    index_at(start).store(value, std::memory_order_seq_cst);
  }
  std::uint16_t peek_index(base::GuestAddress start) { return index_at(start).load(); }

  void mark(base::GuestAddress start, std::size_t size) override {
    const std::lock_guard lock(mutex_);
    marks_.emplace_back(start.value, size);
  }
  /// Whether all of [start, start + size) was marked by one write.
  bool is_marked(base::GuestAddress start, std::size_t size) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [from, length] : marks_) {
      if (from <= start.value && start.value + size <= from + length) return true;
    }
    return false;
  }

 private:
  std::atomic_ref<std::uint16_t> index_at(base::GuestAddress start) {
    return std::atomic_ref(
        *reinterpret_cast<std::uint16_t*>(bytes_.data() + (start.value - kStart)));
  }

  std::vector<std::byte> bytes_;
  std::uint64_t next_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::pair<std::uint64_t, std::size_t>> marks_;
  base::GuestMemory memory_;
};

/// A split virtqueue as a driver keeps it. Buffers are allocated from the RAM and filled here.
class DriverQueue {
 public:
  struct Used {
    std::uint16_t head = 0;
    std::uint32_t written = 0;  ///< as the device says
    Bytes data;                 ///< that many bytes of the request's writable part, at most all
  };

  DriverQueue(TestRam& ram, std::uint16_t size)
      : ram_(&ram),
        size_(size),
        descriptors_(ram.allocate(sizeof(vring_desc) * size)),
        available_(ram.allocate(6 + 2 * std::uint64_t{size})),
        used_(ram.allocate(6 + 8 * std::uint64_t{size})) {
    for (std::uint16_t i = 0; i < size; ++i) free_.push_back(i);
  }

  /// The state a transport would build the device's side from.
  VirtQueueState state() const {
    return {.size = size_,
            .ready = true,
            .descriptor_table = descriptors_.value,
            .available_ring = available_.value,
            .used_ring = used_.value};
  }

  std::uint16_t size() const { return size_; }
  base::GuestAddress descriptors() const { return descriptors_; }
  base::GuestAddress available() const { return available_; }
  base::GuestAddress used() const { return used_; }

  /// Offers one request: readable buffers with these contents, then writable ones of these sizes.
  /// Returns the head. `indirect` puts the descriptors into a table of their own.
  std::uint16_t add(const std::vector<Bytes>& readable,
                    const std::vector<std::uint32_t>& writable = {}, bool indirect = false) {
    auto chain = make_buffers(readable, writable);
    const std::uint16_t head = indirect ? place_indirect(chain) : place(chain);
    for (const vring_desc& descriptor : chain) {
      if ((descriptor.flags & VRING_DESC_F_WRITE) != 0) outstanding_[head].push_back(descriptor);
    }
    publish(head);
    return head;
  }

  /// Writes one descriptor as it is, for rings that break the rules.
  void set_descriptor(std::uint16_t index, vring_desc descriptor) {
    ram_->poke_value({descriptors_.value + sizeof(vring_desc) * index}, descriptor);
  }
  /// Puts `head` into the available ring, valid or not.
  void publish(std::uint16_t head) {
    ram_->poke_value(available_ + 4 + 2 * std::uint64_t(next_available_ % size_), head);
    set_available_index(++next_available_);
  }
  void set_available_index(std::uint16_t index) {
    next_available_ = index;
    ram_->poke_index(available_ + 2, index);
  }

  /// The next request that the device returned, if there is one.
  std::optional<Used> take_used() {
    if (ram_->peek_index(used_ + 2) == next_used_) return std::nullopt;
    const auto slot = std::uint64_t(next_used_++ % size_);
    const auto element = ram_->peek<vring_used_elem>(used_ + 4 + 8 * slot);
    Used found{static_cast<std::uint16_t>(element.id), element.len, {}};
    for (const vring_desc& part : outstanding_[found.head]) {
      const auto size = std::min<std::uint64_t>(part.len, element.len - found.data.size());
      const Bytes bytes = ram_->read({part.addr}, size);
      found.data.insert(found.data.end(), bytes.begin(), bytes.end());
    }
    outstanding_.erase(found.head);
    release(found.head);
    return found;
  }

  /// Waits up to five seconds for a device that works on its own thread; fails the test after that.
  Used wait_used() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::chrono::steady_clock::now() < deadline) {
      if (auto found = take_used()) return *found;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    FAIL("the device returned nothing within five seconds");
    return {};
  }

  /// Whether the device wants no kick (without event-idx), or the index it wants one at (with it).
  bool kicks_suppressed() const {
    return (ram_->peek<std::uint16_t>(used_) & VRING_USED_F_NO_NOTIFY) != 0;
  }
  std::uint16_t available_event() const {
    return ram_->peek<std::uint16_t>(used_ + 4 + 8 * std::uint64_t{size_});
  }

  /// Asks for no interrupts (without event-idx), or for one at that used index (with it).
  void suppress_interrupts(bool suppress) {
    ram_->poke_value(available_, std::uint16_t(suppress ? VRING_AVAIL_F_NO_INTERRUPT : 0));
  }
  void set_used_event(std::uint16_t index) {
    ram_->poke_value(available_ + 4 + 2 * std::uint64_t{size_}, index);
  }

 private:
  std::vector<vring_desc> make_buffers(const std::vector<Bytes>& readable,
                                       const std::vector<std::uint32_t>& writable) {
    std::vector<vring_desc> chain;
    for (const Bytes& contents : readable) {
      const auto address = ram_->allocate(contents.size());
      ram_->poke(address, contents);
      chain.push_back({address.value, std::uint32_t(contents.size()), 0, 0});
    }
    for (const std::uint32_t bytes : writable) {
      chain.push_back({ram_->allocate(bytes).value, bytes, VRING_DESC_F_WRITE, 0});
    }
    REQUIRE_FALSE(chain.empty());
    return chain;
  }

  std::uint16_t place(const std::vector<vring_desc>& chain) {
    REQUIRE(free_.size() >= chain.size());
    const std::vector<std::uint16_t> slots(free_.begin(), free_.begin() + long(chain.size()));
    free_.erase(free_.begin(), free_.begin() + long(chain.size()));
    for (std::size_t i = 0; i < chain.size(); ++i) {
      vring_desc descriptor = chain[i];
      if (i + 1 < chain.size()) {
        descriptor.flags |= VRING_DESC_F_NEXT;
        descriptor.next = slots[i + 1];
      }
      set_descriptor(slots[i], descriptor);
    }
    taken_[slots[0]] = slots;
    return slots[0];
  }

  std::uint16_t place_indirect(std::vector<vring_desc> chain) {
    const auto table = ram_->allocate(sizeof(vring_desc) * chain.size());
    for (std::size_t i = 0; i < chain.size(); ++i) {
      if (i + 1 < chain.size()) {
        chain[i].flags |= VRING_DESC_F_NEXT;
        chain[i].next = std::uint16_t(i + 1);
      }
      ram_->poke_value({table.value + sizeof(vring_desc) * i}, chain[i]);
    }
    return place({{table.value, std::uint32_t(sizeof(vring_desc) * chain.size()),
                   VRING_DESC_F_INDIRECT, 0}});
  }

  void release(std::uint16_t head) {
    const auto slots = taken_.extract(head);
    if (slots) free_.insert(free_.end(), slots.mapped().begin(), slots.mapped().end());
  }

  TestRam* ram_;
  std::uint16_t size_;
  base::GuestAddress descriptors_;
  base::GuestAddress available_;
  base::GuestAddress used_;
  std::uint16_t next_available_ = 0;
  std::uint16_t next_used_ = 0;
  std::deque<std::uint16_t> free_;
  std::map<std::uint16_t, std::vector<std::uint16_t>> taken_;     // by head: its descriptors
  std::map<std::uint16_t, std::vector<vring_desc>> outstanding_;  // by head: its writable part
};

}  // namespace stasis::devices::testing
