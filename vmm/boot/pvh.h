#pragma once

#include <cstdint>

#include "base/guest_memory.h"
#include "vmm/boot/boot_plan.h"
#include "vmm/boot/memory_map.h"

/// What a PVH kernel is handed (xen/include/public/arch-x86/hvm/start_info.h, version 1).
namespace stasis::vmm::pvh {

inline constexpr std::uint32_t kMagic = 0x336E'C578;  // XEN_HVM_START_MAGIC_VALUE

struct StartInfo {
  std::uint32_t magic = kMagic;
  std::uint32_t version = 1;
  std::uint32_t flags = 0;
  std::uint32_t module_count = 0;
  std::uint64_t modules = 0;  ///< address of that many `Module`
  std::uint64_t cmdline = 0;  ///< address of a NUL-terminated string
  std::uint64_t rsdp = 0;
  std::uint64_t memory_map = 0;  ///< address of that many `MapEntry`
  std::uint32_t memory_map_entries = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);

struct Module {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t cmdline = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(Module) == 32);

struct MapEntry {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint32_t type = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(MapEntry) == 24);

/// Puts the start information at layout::kPvhStartInfo, with the initrd as the only module, behind
/// it the memory map. The command line is at layout::kCmdline already.
void write_start_info(const base::GuestMemory& memory, const BootRange& initrd);

}  // namespace stasis::vmm::pvh
