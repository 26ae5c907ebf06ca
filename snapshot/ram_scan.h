#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/guest_memory.h"
#include "snapshot/page_array.h"
#include "snapshot/ram_index.h"

namespace stasis::snapshot {

/// Finds the pages that an image must hold: all but those never touched and those of zeros.
///
/// A page of anonymous memory without an entry in the page table was never touched: it is skipped
/// without being faulted in. A page of a private mapping of a file may be without an entry and full
/// of data, so those are read. Works in a forked child: no malloc, no locks; /proc/self/maps and
/// /proc/self/pagemap are read, and where they cannot be, all memory is.
///
/// `regions`: page-aligned, unchanging while this runs. Returns 0 or an `errno`.
int find_stored_runs(std::span<const base::MemoryRegion> regions, PageArray<RamRun>& runs);

/// What kinds of mappings lie in memory.
struct MemoryKinds {
  bool has_shared = false;  ///< a forked child would see later writes in it
  bool has_file = false;
};

/// What `bytes` is made of, by /proc/self/maps; nothing special where that cannot be read.
MemoryKinds kinds_of(std::span<const std::byte> bytes);

}  // namespace stasis::snapshot
