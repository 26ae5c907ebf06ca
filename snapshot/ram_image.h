#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/guest_memory.h"
#include "base/result.h"
#include "snapshot/manifest.h"
#include "snapshot/ram_index.h"
#include "snapshot/seek_table.h"
#include "snapshot/verify_progress.h"

namespace stasis::snapshot {

/// How RAM got its contents.
struct RamFillReport {
  bool is_mapped = false;            ///< from `ram.raw`, as it is touched; false: decoded at once
  std::uint64_t mappings = 0;        ///< private mappings of the file
  std::uint64_t filled_bytes = 0;    ///< mapped, or decoded and copied
  bool was_checked_in_full = false;  ///< its time stamp had changed, so each byte was checked first
};

/// A stored image of RAM, open. Immutable, so that any number of machines can start from it at
/// once. Threads: any, all at once.
class RamImage {
 public:
  /// `folder`: the snapshot's, `manifest`: of it. Checks the index in full, and size and seek table
  /// of the data file. Errors name the file: kNotFound, kCorrupt, kUnsupported, kIo.
  static base::Result<RamImage> open(const base::Fd& folder, const Manifest& manifest);

  std::uint64_t ram_bytes() const { return index_.ram_bytes; }
  const RamIndex& index() const { return index_; }

  /// Fills fresh memory. Raw: private mappings of the file laid over `regions`, whose cost does not
  /// depend on the amount of RAM; what the guest writes stays in this process. Compressed: decoded
  /// by several threads, each frame checked. After an error the contents are undefined.
  /// `regions`: untouched private anonymous memory, page-aligned, `ram_bytes()` in all.
  base::Result<RamFillReport> fill(const std::vector<base::MemoryRegion>& regions) const;

  /// Reads and checks every byte of the data file. kCorrupt names file and place; kCancelled.
  base::Status verify(VerifyProgress& progress) const;

 private:
  RamImage(RamIndex index, base::Fd data, const FileRecord& record)
      : index_(std::move(index)), data_(std::move(data)), record_(record) {}

  base::Status open_frames();
  base::Result<RamFillReport> map_into(const std::vector<base::MemoryRegion>& regions) const;
  base::Result<RamFillReport> decode_into(const std::vector<base::MemoryRegion>& regions) const;
  base::Status verify_raw(VerifyProgress& progress) const;
  base::Status verify_frames(VerifyProgress& progress) const;
  base::Status check_block(std::uint64_t block, std::uint64_t digest) const;

  RamIndex index_;
  base::Fd data_;
  FileRecord record_;
  bool has_new_time_ = false;
  std::vector<SeekEntry> frames_;  // of `ram.zst`
};

}  // namespace stasis::snapshot
