#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A driver that does anything with its rings, and a network that sends frames, as `input` says.
void fuzz_virtio_net(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
