#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "vmm/boot/byte_source.h"

namespace stasis::vmm {

/// A piece of an ELF file that goes to memory (PT_LOAD). `memory_size` >= `file_size`; the rest is
/// zeros. Never empty, never past 2^64.
struct ElfSegment {
  std::uint64_t file_offset = 0;
  std::uint64_t file_size = 0;
  std::uint64_t address = 0;  ///< guest-physical
  std::uint64_t memory_size = 0;
};

/// An x86 ELF executable that can be entered without firmware.
struct ElfImage {
  bool is_64_bit = true;
  std::vector<ElfSegment> segments;  ///< sorted by address and apart from each other
  std::uint64_t entry = 0;           ///< guest-physical; meaningful when `is_64_bit`
  std::optional<std::uint32_t> pvh_entry;

  std::uint64_t start() const { return segments.front().address; }
  std::uint64_t end() const { return segments.back().address + segments.back().memory_size; }
};

/// Reads the headers and notes, not the segments (System V ABI, chapters 4 and 5; the PVH entry is
/// XEN_ELFNOTE_PHYS32_ENTRY of xen/include/public/elfnote.h). Errors: other machine, no entry that
/// we know, truncated, segments that overlap.
base::Result<ElfImage> read_elf_image(const ByteSource& source);

}  // namespace stasis::vmm
