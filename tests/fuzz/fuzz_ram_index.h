#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Reads `input` as `ram.index`. What is accepted must keep its promises to those who use it.
void fuzz_ram_index(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
