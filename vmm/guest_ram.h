#pragma once

#include <vector>

#include "base/guest_memory.h"
#include "base/mapping.h"
#include "base/result.h"

namespace stasis::vmm {

/// The guest's RAM: private anonymous memory, asked to be backed by huge pages, below and above the
/// 32-bit hole (layout::kLowRamEnd, kHighRamStart). Owns the memory; `view` must not outlive it.
class GuestRam {
 public:
  /// `size_bytes`: a multiple of 4 KiB, not zero. Costs nothing until the guest touches it.
  static base::Result<GuestRam> allocate(std::uint64_t size_bytes);

  /// At most two regions, in the order of their addresses.
  const std::vector<base::MemoryRegion>& regions() const { return regions_; }

  base::GuestMemory view() const { return base::GuestMemory(regions_); }

 private:
  base::Status add(base::GuestAddress start, std::uint64_t size_bytes);

  std::vector<base::Mapping> mappings_;
  std::vector<base::MemoryRegion> regions_;
};

}  // namespace stasis::vmm
