#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A driver that does anything with its ring, as `input` says.
void fuzz_virtio_rng(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
