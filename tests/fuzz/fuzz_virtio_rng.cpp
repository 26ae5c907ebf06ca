#include "tests/fuzz/fuzz_virtio_rng.h"

#include "devices/virtio/virtio_rng.h"
#include "tests/fuzz/virtio_fuzz.h"

namespace stasis::fuzz {

void fuzz_virtio_rng(std::span<const std::uint8_t> bytes) {
  const auto loop = devices::EventLoop::create("fuzz").value();
  FuzzInput input(bytes);
  devices::VirtioRng rng({*loop});
  FuzzGuest guest(1, input.take<std::uint8_t>() % 2 == 1);
  rng.start(guest);
  while (!input.is_empty()) drive(rng, guest, input.take<std::uint8_t>() % 6, input);
  rng.stop();
}

}  // namespace stasis::fuzz
