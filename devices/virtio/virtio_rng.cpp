#include "devices/virtio/virtio_rng.h"

#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/random.h>

#include <algorithm>
#include <array>

namespace stasis::devices {
namespace {

constexpr std::uint32_t kMaxRequest = 64 * 1024;

}  // namespace

VirtioRng::VirtioRng(Wiring wiring, State /*state*/)
    : wiring_(wiring),
      requests_(wiring.loop, 0, [this](const DescriptorChain& chain) { return fill(chain); }) {}

std::uint16_t VirtioRng::device_type() const {
  return VIRTIO_ID_RNG;
}

void VirtioRng::read_config(std::uint64_t /*offset*/, std::span<std::byte> out) {
  std::ranges::fill(out, std::byte{0});
}

void VirtioRng::start(VirtioSession& session) {
  session_ = &session;
  requests_.start(session);
  requests_.run();
}

void VirtioRng::stop() {
  requests_.stop();
  session_ = nullptr;
}

void VirtioRng::queue_kicked(unsigned /*queue_index*/) {
  requests_.run();
}

std::uint32_t VirtioRng::fill(const DescriptorChain& chain) {
  const auto wanted =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(chain.writable_bytes(), kMaxRequest));
  // getrandom never stops half-way for up to 256 bytes, signals or not (random(7))
  std::array<std::byte, 256> entropy;
  std::uint32_t filled = 0;
  while (filled < wanted) {
    const auto piece = std::span(entropy).first(std::min<std::size_t>(wanted - filled, 256));
    const ssize_t got = ::getrandom(piece.data(), piece.size(), 0);
    if (got <= 0) break;
    filled += static_cast<std::uint32_t>(
        chain.write(session_->memory(), filled, piece.first(static_cast<std::size_t>(got))));
  }
  explicit_bzero(entropy.data(), entropy.size());
  return filled;
}

}  // namespace stasis::devices
