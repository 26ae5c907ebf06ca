#pragma once

#include <cstdint>

namespace stasis::vmm {

/// A bit of a register that CPUID fills.
constexpr std::uint32_t register_bit(unsigned number) {
  return 1U << number;
}

}  // namespace stasis::vmm
