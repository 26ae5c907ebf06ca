#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stasis::devices::testing {

/// The calls that change files (pwrite, pwritev, fdatasync, fsync, ftruncate, fallocate) of this
/// program go through here, so that a test can fail one, die at one, or look at all of them. What
/// io_uring does is not seen. Threads: any.
struct CallPlan {
  enum class What {
    kCount,  ///< nothing but counting
    kFail,   ///< the calls from number `at` on end with `error`
    kKill,   ///< call number `at` is the end (SIGKILL); half of what it writes is written
  };
  What what = What::kCount;
  std::uint64_t at = 0;
  int error = 0;
  bool keeps_log = false;
};

/// A change of the file with inode `inode`.
struct LoggedCall {
  enum class Kind { kWrite, kSync, kResize, kZero };
  Kind kind;
  std::uint64_t inode;
  std::uint64_t offset;  ///< kResize: the size; kSync: how many logged calls it covers
  std::uint64_t size;
  std::vector<std::byte> bytes;  ///< kWrite
};

/// A plan in force as long as it lives. One at a time.
class FaultyCalls {
 public:
  explicit FaultyCalls(CallPlan plan);
  FaultyCalls(const FaultyCalls&) = delete;
  FaultyCalls& operator=(const FaultyCalls&) = delete;
  ~FaultyCalls();

  static std::uint64_t count();
  static std::vector<LoggedCall> log();
};

}  // namespace stasis::devices::testing
