#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "devices/block/block_image.h"

namespace stasis::devices {

/// An open, checked and locked raw disk: a regular file or a block device of the host.
struct RawFile {
  base::Fd fd;  ///< holds the lock, which goes with the last duplicate of this descriptor
  BlockImageInfo info;
  bool is_device = false;
};

/// Opens `path`, for writing unless `read_only`, and locks all of it: against every other opener,
/// or against writers when read-only (open file description locks, fcntl(2)); QEMU's tools respect
/// both, and we theirs. Waits up to half a second for a lock that somebody has. Refuses what is not
/// a disk, sizes that are zero or not whole sectors, and files that begin like another image
/// format, because a guest that writes such a beginning must not choose how its disk is read. Every
/// error names the path, the reason and the remedy.
base::Result<RawFile> open_raw_file(const std::string& path, bool read_only);

/// As `open_raw_file`, whatever the file's size and beginning are: for files of other formats.
base::Result<RawFile> open_disk_file(const std::string& path, bool read_only);

/// Locks `fd`, open for `path`, as above; also changes a lock that it has.
base::Status lock_disk_file(const base::Fd& fd, const std::string& path, bool read_only);

}  // namespace stasis::devices
