#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A small file of a machine's folder: the first byte says which, the rest is its content. What is
/// taken must come back the same after it was written anew.
void fuzz_vm_files(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
