#include "snapshot/file_ops.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>

namespace stasis::snapshot {
namespace {

/// Larger ones get the page cache's largest folios, which come from memory that was not in use: on
/// a virtual host that has to be given each of them, one write of 16 MiB takes eight times as long
/// as sixty-four of these.
constexpr std::size_t kLargestWrite = 256 << 10;

}  // namespace

int FileOps::create(int folder, const char* name) const {
  return ::openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

int FileOps::make_folder(int folder, const char* name) const {
  return ::mkdirat(folder, name, 0700);
}

ssize_t FileOps::write_at(int file, const void* data, std::size_t size,
                          std::uint64_t offset) const {
  return ::pwrite(file, data, size, static_cast<off_t>(offset));
}

int FileOps::resize(int file, std::uint64_t size) const {
  return ::ftruncate(file, static_cast<off_t>(size));
}

int FileOps::sync(int file_or_folder) const {
  return ::fsync(file_or_folder);
}

int FileOps::rename(int folder, const char* from, const char* to) const {
  return ::renameat(folder, from, folder, to);
}

int FileOps::remove(int folder, const char* name, int flags) const {
  return ::unlinkat(folder, name, flags);
}

std::uint64_t FileOps::free_bytes(int file) const {
  struct statvfs status {};
  // A file system that cannot say is tried: the write itself will tell.
  if (::fstatvfs(file, &status) < 0) return std::numeric_limits<std::uint64_t>::max();
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

const FileOps& host_file_ops() {
  static const FileOps kOps;
  return kOps;
}

int write_fully(const FileOps& ops, int file, const void* data, std::size_t size,
                std::uint64_t offset) {
  const auto* next = static_cast<const std::byte*>(data);
  while (size > 0) {
    const ssize_t written = ops.write_at(file, next, std::min(size, kLargestWrite), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    next += written;
    size -= static_cast<std::size_t>(written);
    offset += static_cast<std::uint64_t>(written);
  }
  return 0;
}

}  // namespace stasis::snapshot
