#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace stasis::snapshot {

/// An XXH3-128 digest in canonical order: most significant byte first.
using Digest = std::array<std::uint8_t, 16>;

/// XXH3-128 (seed 0) of bytes that come in pieces. Allocates nothing, so it works in a forked
/// child.
class Hasher {
 public:
  Hasher();
  void add(std::span<const std::byte> bytes);
  Digest digest() const;

 private:
  // XXH3_state_t, whose definition would pull the library's header in everywhere.
  alignas(64) std::array<std::byte, 640> state_;
};

/// XXH3-64 (seed 0) of bytes that come in pieces; can be used again after `reset`.
class BlockHasher {
 public:
  BlockHasher() { reset(); }
  void reset();
  void add(std::span<const std::byte> bytes);
  std::uint64_t digest() const;

 private:
  alignas(64) std::array<std::byte, 640> state_;
};

Digest digest_of(std::span<const std::byte> bytes);

/// 32 lower-case hexadecimal digits.
std::string to_hex(const Digest& digest);

}  // namespace stasis::snapshot
