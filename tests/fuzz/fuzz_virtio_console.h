#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A driver that does anything with its rings and registers while somebody types, as `input` says.
void fuzz_virtio_console(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
