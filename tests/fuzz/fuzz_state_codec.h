#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Decodes `input` as the state of a device. What is accepted must encode to the same state again.
void fuzz_state_codec(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
