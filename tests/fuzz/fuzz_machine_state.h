#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Decodes `input` as the sections of a machine's state: for each one byte of length and a name,
/// two bytes of length (low one first) and CBOR. What is accepted must encode to a state that is
/// accepted again and is the same.
void fuzz_machine_state(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
