#pragma once

#include <cstdint>
#include <span>

#include "snapshot/page_array.h"
#include "snapshot/ram_contents.h"
#include "snapshot/ram_writer.h"
#include "snapshot/seek_table.h"

namespace stasis::snapshot {

struct CompressorSlot;

/// Writes the stored pages, packed, as zstd frames with a seek table. Workers compress batches of
/// frames into slots of shared memory; the caller writes them out in order. Fit for a forked child
/// when its workers are processes.
class RamCompressor {
 public:
  RamCompressor(const RamContents& contents, const RamTarget& target, RamWriteWatch& watch,
                RamWriteBoard& board)
      : contents_(contents), target_(target), watch_(watch), board_(board) {}

  /// Fills `blocks` on the way. Returns 0 or an `errno`; `step` says where.
  int write(BlockDigests& blocks);
  RamWriteStep step() const { return step_; }

 private:
  int write_batches(BlockDigests& blocks, class CompressorCrew& crew);
  int write_slot(const CompressorSlot& slot);
  int write_table();
  int append(std::span<const std::byte> bytes);

  const RamContents& contents_;
  const RamTarget& target_;
  RamWriteWatch& watch_;
  RamWriteBoard& board_;
  RamWriteStep step_ = RamWriteStep::kCompress;
  PageArray<SeekEntry> frames_;
  Hasher hasher_;
  std::uint64_t offset_ = 0;
};

}  // namespace stasis::snapshot
