#pragma once

#include <vector>

#include "base/guest_memory.h"
#include "base/mapping.h"
#include "base/result.h"

namespace stasis::vmm {

/// Where a restored machine's memory comes from.
class RamSource {
 public:
  virtual ~RamSource() = default;

  /// Puts the saved contents into `regions`: page-aligned private memory at its final place, all
  /// zero, no vCPU there yet. Mapping something over all or part of it (MAP_FIXED) is allowed.
  /// Called once.
  virtual base::Status fill(const std::vector<base::MemoryRegion>& regions) = 0;
};

/// The guest's RAM: private anonymous memory, asked to be backed by huge pages, below and above the
/// 32-bit hole (layout::kLowRamEnd, kHighRamStart). Owns the memory; `view` must not outlive it.
class GuestRam {
 public:
  /// `size_bytes`: a multiple of 4 KiB, not zero. Costs nothing until the guest touches it.
  static base::Result<GuestRam> allocate(std::uint64_t size_bytes);

  /// The same memory once more, owned by `other`, which must outlive this.
  static GuestRam alias(const GuestRam& other);

  /// At most two regions, in the order of their addresses.
  const std::vector<base::MemoryRegion>& regions() const { return regions_; }

  base::GuestMemory view() const { return base::GuestMemory(regions_); }

 private:
  base::Status add(base::GuestAddress start, std::uint64_t size_bytes);

  std::vector<base::Mapping> mappings_;
  std::vector<base::MemoryRegion> regions_;
};

}  // namespace stasis::vmm
