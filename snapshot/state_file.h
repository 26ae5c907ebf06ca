#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace stasis::snapshot {

inline constexpr const char* kStateFile = "state.cbor";
inline constexpr std::uint64_t kMaxStateBytes = std::uint64_t{64} << 20;

/// One part of a machine's state, as whoever saved it has encoded it.
struct StateFileSection {
  std::string name;
  std::vector<std::uint8_t> cbor;
  bool operator==(const StateFileSection&) const = default;
};

/// The contents of `state.cbor`. Equal sections give equal bytes.
std::vector<std::uint8_t> encode_state_file(const std::vector<StateFileSection>& sections);

/// Errors: kCorrupt, kUnsupported (newer version).
base::Result<std::vector<StateFileSection>> decode_state_file(std::span<const std::uint8_t> bytes);

}  // namespace stasis::snapshot
