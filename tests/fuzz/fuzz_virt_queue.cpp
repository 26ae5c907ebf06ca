#include "tests/fuzz/fuzz_virt_queue.h"

#include <vector>

#include "base/check.h"
#include "devices/virtio/virt_queue.h"
#include "tests/fuzz/virtio_fuzz.h"

namespace stasis::fuzz {

namespace {

using devices::DescriptorChain;
using devices::VirtQueue;

constexpr std::uint64_t kRamStart = 0x1000;
constexpr std::size_t kRamSize = 0x2000;  // small, so that random addresses hit it

devices::VirtQueueState take_state(FuzzInput& input) {
  const auto size = static_cast<std::uint16_t>(1U << input.take<std::uint8_t>() % 6);
  return {.size = size,
          .ready = true,
          .descriptor_table = kRamStart + input.take<std::uint8_t>() % 16 * 16,
          .available_ring = kRamStart + 0x400 + input.take<std::uint8_t>(),
          .used_ring = kRamStart + 0x800 + input.take<std::uint8_t>(),
          .next_available = input.take<std::uint16_t>(),
          .next_used = input.take<std::uint16_t>()};
}

void use(const base::GuestMemory& memory, const DescriptorChain& chain) {
  for (const auto& part : {chain.readable, chain.writable}) {
    for (const auto& buffer : part) STASIS_CHECK(memory.slice(buffer.address, buffer.size));
  }
  std::vector<std::byte> bytes(64);
  const std::size_t read = chain.read(memory, 3, bytes);
  STASIS_CHECK(read <= chain.readable_bytes());
  STASIS_CHECK(chain.write(memory, 1, bytes) <= chain.writable_bytes());
}

void step(FuzzInput& input, const base::GuestMemory& memory, bool event_index, VirtQueue& queue) {
  switch (input.take<std::uint8_t>() % 7) {
    case 0:
    case 1:
      if (const auto chain = queue.pop()) {
        use(memory, *chain);
        queue.push(*chain, input.take<std::uint8_t>());
      }
      return;
    case 2:
      queue.take_interrupt();
      return;
    case 3:
      queue.disable_kicks();
      return;
    case 4:
      queue.enable_kicks();
      return;
    case 5:
      queue = VirtQueue(memory, event_index, queue.state());
      return;
    default:  // the guest writes to its RAM
      memory.store({kRamStart + input.take<std::uint16_t>() % kRamSize},
                   input.take<std::uint16_t>());
  }
}

}  // namespace

void fuzz_virt_queue(std::span<const std::uint8_t> bytes) {
  FuzzInput input(bytes);
  const bool event_index = input.take<std::uint8_t>() % 2 != 0;
  const auto state = take_state(input);
  std::vector<std::byte> ram(kRamSize);
  const auto contents = input.take_bytes(input.take<std::uint16_t>() % 0xC01);
  if (!contents.empty()) std::memcpy(ram.data(), contents.data(), contents.size());
  const base::GuestMemory memory({{{kRamStart}, ram}});
  VirtQueue queue(memory, event_index, state);
  while (!input.is_empty()) step(input, memory, event_index, queue);
}

}  // namespace stasis::fuzz
