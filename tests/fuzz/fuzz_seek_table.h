#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Reads `input` as the seek table of `ram.zst`. What is accepted must add up.
void fuzz_seek_table(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
