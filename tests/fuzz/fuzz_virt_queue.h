#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// The bytes are a queue's shape, the contents of guest RAM and what the device side does.
/// Aborts when a queue takes a request that breaks its own promises.
void fuzz_virt_queue(std::span<const std::uint8_t> bytes);

}  // namespace stasis::fuzz
