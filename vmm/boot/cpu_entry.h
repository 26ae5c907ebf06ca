#pragma once

#include <cstdint>

#include "base/guest_memory.h"
#include "vmm/boot/boot_plan.h"

namespace stasis::vmm {

/// Puts a GDT and page tables that map the first 4 GiB onto themselves (2 MiB pages) into low RAM
/// and gives the registers for Linux' 64-bit entry at `entry` with RSI = `boot_params`. RAM reaches
/// to layout::kHimem at least.
BootRegisters enter_long_mode(const base::GuestMemory& memory, std::uint64_t entry,
                              std::uint64_t boot_params);

/// Puts a GDT into low RAM and gives the registers for a PVH entry at `entry` with EBX =
/// `start_info`: flat 32-bit segments, no paging (Xen docs/misc/pvh.pandoc).
BootRegisters enter_protected_mode(const base::GuestMemory& memory, std::uint32_t entry,
                                   std::uint32_t start_info);

}  // namespace stasis::vmm
