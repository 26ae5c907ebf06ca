#include "tests/fuzz/fuzz_ram_index.h"

#include "base/check.h"
#include "snapshot/mapping_plan.h"
#include "snapshot/ram_index.h"

namespace stasis::fuzz {

void fuzz_ram_index(std::span<const std::uint8_t> input) {
  const auto index = snapshot::decode_ram_index(std::as_bytes(input));
  if (!index) return;
  const std::uint64_t page_count = index->ram_bytes / snapshot::kPageBytes;
  std::uint64_t end = 0;
  for (const auto& run : index->runs) {
    STASIS_CHECK(run.first_page >= end && run.end_page() > run.first_page);
    end = run.end_page();
  }
  STASIS_CHECK(end <= page_count);
  STASIS_CHECK(index->block_digests.size() == snapshot::block_count(index->ram_bytes));
  const auto plan = snapshot::plan_mappings(index->runs, {0, page_count});
  STASIS_CHECK(plan.size() <= snapshot::kMaxMappings);
  for (const auto& run : plan) STASIS_CHECK(run.end_page() <= page_count);
}

}  // namespace stasis::fuzz
