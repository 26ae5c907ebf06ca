#pragma once

#include <cstdint>
#include <vector>

#include "base/guest_memory.h"

namespace stasis::vmm {

/// What a range of guest-physical memory is for; the numbers are those of E820 and of Xen's
/// hvm_memmap_table_entry (ACPI 6.5, section 15).
enum class MemoryKind : std::uint32_t { kRam = 1, kReserved = 2 };

struct MemoryRange {
  std::uint64_t start = 0;
  std::uint64_t size = 0;
  MemoryKind kind = MemoryKind::kRam;
  bool operator==(const MemoryRange&) const = default;
};

/// The memory map a guest is told: RAM without the EBDA, video and firmware holes below 1 MiB, and
/// the reserved ACPI tables and ECAM window. Sorted, apart from each other.
std::vector<MemoryRange> build_memory_map(const base::GuestMemory& memory);

/// First address past the RAM that starts at 0; 0 when there is none.
std::uint64_t low_ram_end(const base::GuestMemory& memory);

}  // namespace stasis::vmm
