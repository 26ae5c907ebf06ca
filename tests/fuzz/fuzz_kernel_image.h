#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Makes a kernel file of `bytes`: the first byte picks either the rest as it is or a small valid
/// kernel, into which the rest is written as patches (offset: 2 bytes, little-endian; value: 1).
/// The file is identified, described and loaded into RAM with itself as initrd; when that succeeds,
/// all of it is inside RAM.
void fuzz_kernel_image(std::span<const std::uint8_t> bytes);

}  // namespace stasis::fuzz
