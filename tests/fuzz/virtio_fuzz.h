#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/guest_memory.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::fuzz {

/// Takes numbers off the input; zeros after its end.
class FuzzInput {
 public:
  explicit FuzzInput(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool is_empty() const { return bytes_.empty(); }

  template <typename T>
  T take() {
    T value{};
    const auto piece = take_bytes(sizeof value);
    if (!piece.empty()) std::memcpy(&value, piece.data(), piece.size());
    return value;
  }
  std::span<const std::uint8_t> take_bytes(std::size_t size) {
    const auto piece = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(piece.size());
    return piece;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

/// A guest with 64 KiB of RAM whose queues lie at fixed places in it, so that a few bytes of input
/// make a ring. Queue n: descriptors at n * 0x1000, available ring 0x400 further, used ring 0x800
/// further. Buffers can be anywhere.
class FuzzGuest final : public devices::VirtioSession {
 public:
  static constexpr std::uint16_t kQueueSize = 16;

  FuzzGuest(unsigned queues, bool event_index) {
    for (unsigned i = 0; i < queues; ++i) {
      const std::uint64_t start = std::uint64_t{0x1000} * i;
      queues_.emplace_back(memory_, event_index,
                           devices::VirtQueueState{.size = kQueueSize,
                                                   .ready = true,
                                                   .descriptor_table = start,
                                                   .available_ring = start + 0x400,
                                                   .used_ring = start + 0x800});
    }
  }

  const base::GuestMemory& memory() const override { return memory_; }
  std::uint64_t features() const override { return 0; }
  devices::VirtQueue& queue(unsigned index) override { return queues_.at(index); }
  void interrupt_if_needed(unsigned index) override { queues_.at(index).take_interrupt(); }

  /// Writes up to 255 bytes anywhere in the guest's RAM.
  void poke(FuzzInput& input) {
    const auto place = input.take<std::uint16_t>();
    const auto bytes = input.take_bytes(input.take<std::uint8_t>());
    memory_.write({place}, std::as_bytes(bytes));
  }
  /// Offers one chain of one descriptor, well formed but for its address and size.
  void offer(FuzzInput& input) {
    const auto queue = input.take<std::uint8_t>() % queues_.size();
    const std::uint64_t start = std::uint64_t{0x1000} * queue;
    const auto slot = static_cast<std::uint16_t>(offered_.at(queue)++ % kQueueSize);
    memory_.store({start + 16U * slot}, std::uint64_t{input.take<std::uint16_t>()});
    memory_.store({start + 16U * slot + 8}, std::uint32_t{input.take<std::uint16_t>()});
    memory_.store({start + 16U * slot + 12}, std::uint32_t{input.take<std::uint8_t>() & 2U});
    memory_.store({start + 0x404 + 2U * slot}, slot);
    memory_.store({start + 0x402}, offered_.at(queue));
  }

 private:
  std::vector<std::byte> ram_ = std::vector<std::byte>(0x1'0000);
  base::GuestMemory memory_{{{{0}, ram_}}};
  std::vector<devices::VirtQueue> queues_;
  std::array<std::uint16_t, 4> offered_{};
};

/// One step of a driver that knows no rules. Returns false for steps that are the caller's.
inline bool drive(devices::VirtioDevice& device, FuzzGuest& guest, unsigned step,
                  FuzzInput& input) {
  std::array<std::byte, 8> value{};
  const auto queues = static_cast<unsigned>(device.queue_sizes().size());
  switch (step) {
    case 0:
      guest.poke(input);
      return true;
    case 1:
      guest.offer(input);
      return true;
    case 2:
      device.queue_kicked(input.take<std::uint8_t>() % queues);
      return true;
    case 3:
      device.read_config(input.take<std::uint64_t>(), value);
      return true;
    case 4:
      value[0] = static_cast<std::byte>(input.take<std::uint8_t>());
      device.write_config(input.take<std::uint8_t>(), value);
      return true;
    case 5:
      device.stop();
      device.start(guest);
      return true;
    default:
      return false;
  }
}

}  // namespace stasis::fuzz
