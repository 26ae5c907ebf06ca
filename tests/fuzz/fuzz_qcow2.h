#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// A qcow2 file: header, extensions, tables. Opens it read-only and writable, reads, writes,
/// discards, flushes, puts an overlay over it.
void fuzz_qcow2(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
