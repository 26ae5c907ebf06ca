#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#include "snapshot/ram_contents.h"
#include "snapshot/ram_writer.h"
#include "snapshot/seek_table.h"

namespace stasis::snapshot {

inline constexpr std::size_t kBatchFrames = 16;
inline constexpr std::uint64_t kBatchBytes = kBatchFrames * kFrameBytes;
/// ZSTD_COMPRESSBOUND(kFrameBytes), with room for the frame's checksum.
inline constexpr std::size_t kFrameBound = kFrameBytes + (kFrameBytes >> 8) + 64;

/// A batch on its way from a worker to the one who writes; in shared memory.
struct CompressorSlot {
  enum State : std::uint32_t { kEmpty, kFull, kFailed };
  std::atomic<std::uint32_t> state{kEmpty};
  std::uint32_t frame_count = 0;
  std::array<SeekEntry, kBatchFrames> frames{};
  std::uint64_t size = 0;
  std::array<std::byte, kBatchFrames * kFrameBound> bytes;
};

/// The workers of a compression. Worker w of n compresses the batches w, w + n, w + 2n, ... in turn
/// into its two slots. Processes or threads; nothing of it needs malloc or a lock in the former
/// case.
class CompressorCrew {
 public:
  static constexpr unsigned kMaxWorkers = 8;

  CompressorCrew(const RamContents& contents, const RamTarget& target);
  CompressorCrew(const CompressorCrew&) = delete;
  CompressorCrew& operator=(const CompressorCrew&) = delete;
  /// Ends the workers, wherever they are.
  ~CompressorCrew();

  /// Returns 0 or an `errno`.
  int start();
  std::uint64_t batch_count() const;
  /// Waits for `batch`, asked for in order. Null when the watch says stop or a worker is gone:
  /// `error` says which.
  CompressorSlot* wait_for(std::uint64_t batch, RamWriteWatch& watch, int& error);
  /// The slot may be filled again.
  static void release(CompressorSlot& slot);

 private:
  struct Shared;

  int start_worker(unsigned number);
  void work(unsigned number, void* workspace, std::size_t size);
  bool wait_until_empty(CompressorSlot& slot);
  bool is_worker_gone(unsigned number);
  CompressorSlot& slot_of(std::uint64_t batch) const;

  const RamContents& contents_;
  const RamTarget& target_;
  unsigned workers_;
  Shared* shared_ = nullptr;
  pid_t owner_ = 0;
  std::size_t workspace_bytes_ = 0;
  std::array<void*, kMaxWorkers> workspaces_{};
  std::array<pid_t, kMaxWorkers> processes_{};
  std::array<std::thread, kMaxWorkers> threads_;
};

}  // namespace stasis::snapshot
