#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Takes `bytes` for a kernel file: identifies it, describes it, loads it into 4 MiB of RAM with
/// itself as initrd. A file that was identified and loaded is entered inside RAM.
void fuzz_kernel_image(std::span<const std::uint8_t> bytes);

}  // namespace stasis::fuzz
