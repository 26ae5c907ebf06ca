#pragma once

#include <cstdint>
#include <span>

#include "base/guest_memory.h"
#include "snapshot/digest.h"
#include "snapshot/page_array.h"
#include "snapshot/ram_index.h"

namespace stasis::snapshot {

/// RAM at rest, seen as the pages that an image holds. Fit for a forked child.
class RamContents {
 public:
  explicit RamContents(std::span<const base::MemoryRegion> regions) : regions_(regions) {}

  /// Finds the runs; to be called once, first. Returns 0 or an `errno`.
  int find_runs();

  std::uint64_t ram_bytes() const { return total_bytes(regions_); }
  std::uint64_t stored_bytes() const { return stored_pages_ * kPageBytes; }
  std::span<const RamRun> runs() const { return runs_.items(); }

  /// The memory of `run`, which lies in one piece.
  std::span<const std::byte> bytes_of(const RamRun& run) const;

  /// Calls `action(position, bytes)` for each piece of the packed pages [start, start + size), both
  /// in bytes and page-aligned, within `stored_bytes()`.
  template <typename Action>
  void for_each_packed(std::uint64_t start, std::uint64_t size, Action&& action) const {
    for (std::size_t i = run_of_packed(start); size > 0; ++i) {
      const std::uint64_t skipped = start - packed_starts_[i];
      const auto bytes = bytes_of(runs_[i]).subspan(skipped);
      const auto piece = bytes.first(bytes.size() < size ? bytes.size() : size);
      action(runs_[i].first_page * kPageBytes + skipped, piece);
      start += piece.size();
      size -= piece.size();
    }
  }

 private:
  std::size_t run_of_packed(std::uint64_t start) const;

  std::span<const base::MemoryRegion> regions_;
  PageArray<RamRun> runs_;
  PageArray<std::uint64_t> packed_starts_;  // one a run: bytes stored before it
  std::uint64_t stored_pages_ = 0;
};

/// The checksums of all blocks of RAM, from its stored pages in ascending order; what lies between
/// them is zero. Fit for a forked child.
class BlockDigests {
 public:
  explicit BlockDigests(std::uint64_t ram_bytes) : ram_bytes_(ram_bytes) {}

  /// `position` behind all that was added. False when the host has no memory.
  bool add(std::uint64_t position, std::span<const std::byte> bytes);
  /// Zeros to the end of RAM; then all digests are there. False when the host has no memory.
  bool finish() { return add_zeros_to(ram_bytes_); }
  std::span<const std::uint64_t> digests() const { return digests_.items(); }

 private:
  bool add_zeros_to(std::uint64_t position);
  bool add_in_block(std::span<const std::byte> bytes);
  std::uint64_t block_end() const;

  std::uint64_t ram_bytes_;
  std::uint64_t position_ = 0;
  std::uint64_t zero_block_digest_ = 0;  // of a whole block; 0: not known yet
  BlockHasher hasher_;
  PageArray<std::uint64_t> digests_;
};

}  // namespace stasis::snapshot
