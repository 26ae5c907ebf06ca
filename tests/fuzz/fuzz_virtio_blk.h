#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A driver that does anything with its two rings, over an image that ends, keeps or fails its
/// requests, as `input` says. Nothing may reach the image that is outside it.
void fuzz_virtio_blk(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
