#pragma once

#include <asm/bootparam.h>

#include <cstdint>
#include <string>
#include <variant>

#include "base/result.h"
#include "vmm/boot/boot_plan.h"
#include "vmm/boot/byte_source.h"
#include "vmm/boot/elf_image.h"

namespace stasis::vmm {

/// A Linux bzImage with a 64-bit entry (Linux Documentation/arch/x86/boot.rst).
struct BzImage {
  setup_header header{};         ///< as in the file; fields newer than its version are 0
  std::uint64_t setup_size = 0;  ///< real-mode part, skipped; the kernel proper follows it
  std::uint64_t image_size = 0;  ///< bytes of the kernel proper
  std::string compression;       ///< of the payload: "gzip", "lz4", "uncompressed", ..., "unknown"
  std::string version;           ///< as `uname -r` and `-v` will say; empty when not recorded
};

/// A kernel file whose headers have been checked: every byte they promise is in the file.
struct KernelImage {
  std::variant<BzImage, ElfImage> format;

  /// How it will be entered; PVH is preferred where an ELF file offers both.
  EntryKind entry() const;
};

/// Recognizes a kernel by its headers. Errors say what the file is instead and what to give
/// (kInvalidArgument: no kernel, kUnsupported: not for this machine, kCorrupt: damaged).
base::Result<KernelImage> identify(const ByteSource& source);

/// "bzImage 2.15, lz4 payload, \"6.1.0-18-cloud-amd64 ...\"", "ELF vmlinux, PVH entry", ...
std::string describe(const KernelImage& image);

}  // namespace stasis::vmm
