#include "vmm/boot/memory_map.h"

#include <algorithm>

#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

constexpr std::uint64_t kVideoMemory = 0xA'0000;

void add_ram(std::vector<MemoryRange>& map, const base::MemoryRegion& region) {
  const std::uint64_t start = region.start.value;
  const std::uint64_t end = start + region.bytes.size();
  if (start == 0) map.push_back({0, std::min(end, layout::kEbda), MemoryKind::kRam});
  const std::uint64_t high = std::max(start, layout::kHimem);
  if (high < end) map.push_back({high, end - high, MemoryKind::kRam});
}

}  // namespace

std::vector<MemoryRange> build_memory_map(const base::GuestMemory& memory) {
  std::vector<MemoryRange> map = {
      {layout::kEbda, kVideoMemory - layout::kEbda, MemoryKind::kReserved},
      {layout::kAcpiTables, layout::kAcpiTablesEnd - layout::kAcpiTables, MemoryKind::kReserved},
      {layout::kEcamStart, layout::kEcamSize, MemoryKind::kReserved},
  };
  for (const auto& region : memory.regions()) add_ram(map, region);
  std::ranges::sort(map, {}, &MemoryRange::start);
  return map;
}

std::uint64_t low_ram_end(const base::GuestMemory& memory) {
  const auto& regions = memory.regions();
  return regions.empty() || regions.front().start.value != 0 ? 0 : regions.front().bytes.size();
}

}  // namespace stasis::vmm
