#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Reads `input` as `manifest.json`, with its checksum made right. What is accepted must encode and
/// read again as the same, and lead nowhere out of its folder.
void fuzz_manifest(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
