#pragma once

#include <span>
#include <vector>

#include "snapshot/ram_index.h"

namespace stasis::snapshot {

inline constexpr std::size_t kMaxMappings = 512;   ///< a region: each costs a microsecond or two
inline constexpr std::uint64_t kMinGapPages = 16;  ///< smaller gaps are mapped, too

/// Which pages of the image to map within `region`, so that all runs are covered by few mappings:
/// small gaps are joined, then the smallest ones until at most kMaxMappings are left. What lies in
/// a joined gap is a hole of the file and reads as zeros.
std::vector<RamRun> plan_mappings(std::span<const RamRun> runs, const RamRun& region);

}  // namespace stasis::snapshot
