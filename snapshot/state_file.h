#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "vmm/machine_state.h"

namespace stasis::snapshot {

inline constexpr const char* kStateFile = "state.cbor";
inline constexpr std::uint64_t kMaxStateBytes = std::uint64_t{64} << 20;

/// The contents of `state.cbor`. Equal sections give equal bytes.
std::vector<std::uint8_t> encode_state_file(const std::vector<vmm::StateSection>& sections);

/// Errors: kCorrupt, kUnsupported (newer version).
base::Result<std::vector<vmm::StateSection>> decode_state_file(std::span<const std::uint8_t> bytes);

}  // namespace stasis::snapshot
