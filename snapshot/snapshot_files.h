#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "snapshot/manifest.h"
#include "snapshot/verify_progress.h"

namespace stasis::snapshot {

/// A file of a snapshot as it is found on disk.
struct FoundFile {
  base::Fd fd;
  std::uint64_t size_bytes = 0;
  std::uint64_t mtime_ns = 0;
};

/// Opens a regular file in `folder` for reading; links are not followed. kNotFound names it.
base::Result<FoundFile> open_snapshot_file(const base::Fd& folder, const std::string& name);

/// As above; its size must be the recorded one. kCorrupt names the file.
base::Result<FoundFile> open_recorded_file(const base::Fd& folder, const FileRecord& record);

/// Reads all of [offset, offset + out.size()). Errors name file and place.
base::Status read_at(const base::Fd& fd, const std::string& name, std::uint64_t offset,
                     std::span<std::byte> out);

/// Contents of a recorded file of at most `limit` bytes, its checksum checked.
base::Result<std::vector<std::byte>> read_recorded_file(const base::Fd& folder,
                                                        const FileRecord& record,
                                                        std::uint64_t limit);

/// Checks size and checksum, piece by piece.
base::Status verify_recorded_file(const base::Fd& folder, const FileRecord& record,
                                  VerifyProgress& progress);

}  // namespace stasis::snapshot
