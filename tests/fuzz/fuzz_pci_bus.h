#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// The bytes are accesses of a guest to a virtio-pci function behind a PCI root, to its RAM, and
/// the points in time at which the function is saved, encoded, decoded and restored.
/// Aborts when a restored function differs from the saved one.
void fuzz_pci_bus(std::span<const std::uint8_t> bytes);

}  // namespace stasis::fuzz
