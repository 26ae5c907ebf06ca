#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "snapshot/ram_capture.h"
#include "snapshot/ram_writer.h"

namespace stasis::snapshot {

/// The files of an image that is being captured.
struct RamFiles {
  const FileOps& ops;
  std::optional<int> level;
  base::Fd data;
  base::Fd index;

  static base::Result<RamFiles> create(const base::Fd& folder, std::optional<int> level,
                                       const FileOps& ops);
  const char* data_name() const { return level ? kZstdRamFile : kRawRamFile; }
  RamTarget target() const;
  /// After a writer that ended well.
  base::Result<RamCaptureResult> result(const RamWriteBoard& board) const;
  /// What a writer's failure means.
  base::Error failure(const RamWriteBoard& board) const;
};

/// Time of the last write since 1970; of files from before then, some number.
inline std::uint64_t mtime_ns(const struct stat& status) {
  return static_cast<std::uint64_t>(status.st_mtim.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(status.st_mtim.tv_nsec);
}

}  // namespace stasis::snapshot
