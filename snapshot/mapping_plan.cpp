#include "snapshot/mapping_plan.h"

#include <algorithm>
#include <functional>

namespace stasis::snapshot {
namespace {

std::vector<RamRun> clip(std::span<const RamRun> runs, const RamRun& region) {
  std::vector<RamRun> clipped;
  for (const RamRun& run : runs) {
    const std::uint64_t start = std::max(run.first_page, region.first_page);
    const std::uint64_t end = std::min(run.end_page(), region.end_page());
    if (start < end) clipped.push_back({start, end - start});
  }
  return clipped;
}

/// The smallest gap that stays a gap.
std::uint64_t least_gap(const std::vector<RamRun>& runs) {
  if (runs.size() <= kMaxMappings) return kMinGapPages;
  std::vector<std::uint64_t> gaps;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    gaps.push_back(runs[i].first_page - runs[i - 1].end_page());
  }
  const auto last_kept = gaps.begin() + (kMaxMappings - 2);
  std::nth_element(gaps.begin(), last_kept, gaps.end(), std::greater<>());
  // Gaps as large as the last one kept may be many: ask for more than that, then.
  const auto as_large = static_cast<std::size_t>(
      std::count_if(gaps.begin(), gaps.end(), [&](auto gap) { return gap >= *last_kept; }));
  return std::max(kMinGapPages, as_large < kMaxMappings ? *last_kept : *last_kept + 1);
}

}  // namespace

std::vector<RamRun> plan_mappings(std::span<const RamRun> runs, const RamRun& region) {
  const auto clipped = clip(runs, region);
  const std::uint64_t gap = least_gap(clipped);
  std::vector<RamRun> plan;
  for (const RamRun& run : clipped) {
    if (!plan.empty() && run.first_page - plan.back().end_page() < gap) {
      plan.back().page_count = run.end_page() - plan.back().first_page;
    } else {
      plan.push_back(run);
    }
  }
  return plan;
}

}  // namespace stasis::snapshot
