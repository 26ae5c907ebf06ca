#pragma once

#include <array>
#include <cstddef>

namespace stasis::devices {

/// What is written where zeroes are asked for; aligned for direct I/O.
alignas(4096) inline constexpr std::array<std::byte, 64 << 10> kZeroes{};

}  // namespace stasis::devices
