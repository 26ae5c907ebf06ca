#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/guest_memory.h"
#include "base/thread_placement.h"
#include "snapshot/digest.h"
#include "snapshot/file_ops.h"
#include "snapshot/ram_contents.h"

namespace stasis::snapshot {

enum class RamWriteStep : std::uint32_t { kScan, kSpace, kData, kCompress, kIndex, kSync, kDone };

/// What a writer tells: lies in memory that writer and watcher share, perhaps two processes.
struct RamWriteBoard {
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> total_bytes{0};  ///< of RAM that are stored; 0 until known

  // The result: to be read once the writer has ended.
  RamWriteStep step = RamWriteStep::kScan;  ///< where it is; kDone: all is durable
  int error = 0;                            ///< errno of the failure at `step`
  std::uint64_t free_bytes = 0;             ///< on the file system, when `step` is kSpace
  std::uint64_t data_bytes = 0;             ///< stored in the data file
  std::uint64_t index_bytes = 0;            ///< size of `ram.index`
  Digest data_digest{};                     ///< of `ram.zst`; not used for `ram.raw`
  Digest index_digest{};
};

/// Where and how an image is written.
struct RamTarget {
  const FileOps* ops = nullptr;
  int data_file = -1;             ///< `ram.raw` or `ram.zst`, empty
  int index_file = -1;            ///< `ram.index`, empty
  std::optional<int> level;       ///< zstd level; absent: raw
  unsigned workers = 1;           ///< that compress
  bool forks_workers = false;     ///< workers are processes; otherwise threads
  bool starts_writeback = false;  ///< the host writes while more is added: a shorter sync
  /// Threads of the guest, whose CPUs workers that are processes keep off; may be null.
  std::shared_ptr<const base::ThreadWatches> vcpus;
  std::vector<int> vcpu_files;  ///< what has to stay open for that
};

/// Asked often, by the writer, whether to go on. Fit for a forked child.
class RamWriteWatch {
 public:
  virtual ~RamWriteWatch() = default;
  virtual bool goes_on() = 0;
};

/// Writes the image of RAM that does not change meanwhile. Fit for a forked child: memory comes
/// from mmap, calls are system calls, no lock is taken.
class RamWriter {
 public:
  RamWriter(std::span<const base::MemoryRegion> regions, const RamTarget& target,
            RamWriteWatch& watch, RamWriteBoard& board)
      : contents_(regions),
        blocks_(contents_.ram_bytes()),
        target_(target),
        watch_(watch),
        board_(board) {}

  /// Finds what to store, checks that it has room, writes data and index. False: the board says
  /// why.
  bool write();

 private:
  bool failed(RamWriteStep step, int error);
  bool check_space();
  bool write_raw();
  bool write_run(std::uint64_t position, std::span<const std::byte> bytes);
  bool write_compressed();
  bool write_index();

  RamContents contents_;
  BlockDigests blocks_;
  const RamTarget& target_;
  RamWriteWatch& watch_;
  RamWriteBoard& board_;
};

/// Makes both files durable; sets the board's step to kDone. False: the board says why. For a
/// forked child, too.
bool sync_ram_files(const RamTarget& target, RamWriteBoard& board);

}  // namespace stasis::snapshot
