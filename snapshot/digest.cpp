#include "snapshot/digest.h"

#include <fmt/format.h>

#define XXH_STATIC_LINKING_ONLY  // the state's definition, to keep it on the stack
#include <xxhash.h>

#include <new>

namespace stasis::snapshot {
namespace {

template <std::size_t n>
XXH3_state_t* state_in(std::array<std::byte, n>& bytes) {
  static_assert(sizeof(XXH3_state_t) <= n && alignof(XXH3_state_t) <= 64);
  return std::launder(reinterpret_cast<XXH3_state_t*>(bytes.data()));
}

template <std::size_t n>
const XXH3_state_t* state_in(const std::array<std::byte, n>& bytes) {
  return std::launder(reinterpret_cast<const XXH3_state_t*>(bytes.data()));
}

Digest canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  return std::to_array(bytes.digest);
}

}  // namespace

Hasher::Hasher() {
  new (state_.data()) XXH3_state_t;
  XXH3_128bits_reset(state_in(state_));
}

void Hasher::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_in(state_), bytes.data(), bytes.size());
}

Digest Hasher::digest() const {
  return canonical(XXH3_128bits_digest(state_in(state_)));
}

void BlockHasher::reset() {
  new (state_.data()) XXH3_state_t;
  XXH3_64bits_reset(state_in(state_));
}

void BlockHasher::add(std::span<const std::byte> bytes) {
  XXH3_64bits_update(state_in(state_), bytes.data(), bytes.size());
}

std::uint64_t BlockHasher::digest() const {
  return XXH3_64bits_digest(state_in(state_));
}

Digest digest_of(std::span<const std::byte> bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string to_hex(const Digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace stasis::snapshot
