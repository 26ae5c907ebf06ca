#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A driver that writes anything to configuration space and BAR of a virtio-pci function, sets up
/// queues anywhere, and is saved and restored in the middle of it.
void fuzz_virtio_pci(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
