#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::devices {

/// One system call on one file. Owned by the caller, who keeps it and its buffers in place until
/// `collect` returns it.
struct IoTask {
  enum class Kind : std::uint8_t {
    kRead,           ///< preadv2 of `buffers` at `offset`
    kWrite,          ///< pwritev2 of `buffers` at `offset`
    kDataSync,       ///< fdatasync
    kAllocate,       ///< fallocate with `mode` on [offset, offset + size)
    kDiscardDevice,  ///< ioctl BLKDISCARD on [offset, offset + size)
  };
  Kind kind = Kind::kRead;
  int mode = 0;
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  const iovec* buffers = nullptr;
  unsigned buffer_count = 0;  ///< at most IOV_MAX

  std::int64_t result = 0;  ///< what the system call returned, or a negative errno value
};

/// Runs system calls in the background. Threads: one at a time (an event loop).
class IoEngine {
 public:
  virtual ~IoEngine() = default;  ///< nothing may be in flight

  virtual std::string_view name() const = 0;  ///< "io_uring" or "threads"
  virtual bool can(IoTask::Kind kind) const = 0;

  /// Queues a task; `kick` starts all that are queued.
  virtual void submit(IoTask& task) = 0;
  virtual void kick() = 0;

  /// Readable whenever `collect` may have something.
  virtual const base::Fd& completion_event() const = 0;

  /// Appends what has ended since the last call to `ended`. Never blocks. A short transfer or an
  /// interrupted call is reported as it came.
  virtual void collect(std::vector<IoTask*>& ended) = 0;
};

/// An engine on io_uring(7). Fails where the kernel has none, forbids it (kernel.io_uring_disabled,
/// seccomp) or lacks memory.
base::Result<std::unique_ptr<IoEngine>> make_uring_engine();

/// An engine that makes blocking calls on one thread of its own, which starts with the first task.
base::Result<std::unique_ptr<IoEngine>> make_thread_engine();

}  // namespace stasis::devices
