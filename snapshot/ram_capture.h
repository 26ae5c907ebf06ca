#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/guest_memory.h"
#include "base/result.h"
#include "base/thread_placement.h"
#include "snapshot/file_ops.h"
#include "snapshot/manifest.h"
#include "snapshot/vm_control.h"

namespace stasis::snapshot {

inline constexpr const char* kRawRamFile = "ram.raw";
inline constexpr const char* kZstdRamFile = "ram.zst";
inline constexpr const char* kRamIndexFile = "ram.index";

struct RamCaptureOptions {
  Engine engine = Engine::kAuto;
  std::optional<int> compression_level = std::nullopt;  ///< zstd level 1..19; absent: raw
  /// Whose CPUs those who write while the guest runs keep off, as long as there is another.
  std::shared_ptr<const base::ThreadWatches> vcpus = nullptr;
};

/// What a finished capture left in its folder.
struct RamCaptureResult {
  std::uint64_t captured_bytes = 0;  ///< of RAM: neither untouched nor zero
  std::uint64_t stored_bytes = 0;    ///< written to the files
  std::vector<FileRecord> files;     ///< data and index, durable; for the manifest
};

/// One capture of RAM: prepared before the pause, taken in it, finished after it.
///
///     prepare (anytime) -> before_pause -> capture (guest at rest) -> guest_runs -> finish
///
/// Dropped before `finish` has returned, it stops whatever still works and waits for its end; the
/// files stay half written. Threads: one at a time.
class RamCapture {
 public:
  virtual ~RamCapture() = default;

  /// "fork" or "stop-and-copy".
  virtual std::string_view engine() const = 0;

  /// The guest is about to be stopped, for a `capture` on this thread: what can be done before is
  /// done here. Cannot fail, and may be left out.
  virtual void before_pause() {}

  /// The instant: RAM, which must not change during this call, is the image's contents when it
  /// returns, whatever the guest does to it afterwards. `regions` must stay mapped until `finish`
  /// has returned. fork: well below a millisecond for a GiB of huge pages. stop-and-copy: writes
  /// everything here, tells and asks `observer`. Errors: kOutOfResources, kIo, kCancelled,
  /// kUnsupported (fork: memory that is shared).
  virtual base::Status capture(const std::vector<base::MemoryRegion>& regions,
                               WorkObserver& observer) = 0;

  /// The guest runs again: what works for the capture may take a CPU now. Until this or `finish` it
  /// leaves all to the guest, whose vCPUs would wait behind it for the scheduler's next tick. On
  /// the thread of `capture`.
  virtual void guest_runs() {}

  /// Waits until the image is durable; tells and asks `observer` about ten times a second. To be
  /// called once, after `capture` succeeded. Errors: as of `capture`.
  virtual base::Result<RamCaptureResult> finish(WorkObserver& observer) = 0;
};

/// Creates the image's files in `folder` (an open descriptor, used only during this call) and picks
/// the engine: kAuto is fork, or stop-and-copy where the host's memory policy would refuse the
/// fork. Errors: kInvalidArgument (level), kOutOfResources (kFork where it would be refused), kIo.
base::Result<std::unique_ptr<RamCapture>> prepare_ram_capture(const base::Fd& folder,
                                                              std::uint64_t ram_bytes,
                                                              const RamCaptureOptions& options,
                                                              const FileOps& ops = host_file_ops());

}  // namespace stasis::snapshot
