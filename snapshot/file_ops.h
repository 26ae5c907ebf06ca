#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace stasis::snapshot {

/// Every call that changes the store's files, as one seam: tests put another in its place to end
/// the process at the n-th step, or to fill the disk there.
///
/// The contract is that of the system calls: -1 and `errno` on failure. They are called in a forked
/// child, too, so an implementation allocates no memory and takes no lock.
/// Threads: any, all at once.
class FileOps {
 public:
  virtual ~FileOps() = default;

  /// A new, empty file, readable by its owner only (0600), close-on-exec, for reading and writing.
  virtual int create(int folder, const char* name) const;
  /// A new folder for its owner only (0700).
  virtual int make_folder(int folder, const char* name) const;
  virtual ssize_t write_at(int file, const void* data, std::size_t size,
                           std::uint64_t offset) const;
  virtual int resize(int file, std::uint64_t size) const;
  /// Contents of a file, or names in a folder, become durable.
  virtual int sync(int file_or_folder) const;
  /// Within one folder; replaces `to`, unless `to` is a folder that is not empty.
  virtual int rename(int folder, const char* from, const char* to) const;
  /// `flags`: 0 for a file, AT_REMOVEDIR for an empty folder.
  virtual int remove(int folder, const char* name, int flags) const;
  /// Bytes that an ordinary user may still write to the file system of `file`.
  virtual std::uint64_t free_bytes(int file) const;
};

/// The system calls themselves.
const FileOps& host_file_ops();

/// Writes all of `size` bytes; returns 0, or the `errno` of the failure. For a forked child, too.
int write_fully(const FileOps& ops, int file, const void* data, std::size_t size,
                std::uint64_t offset);

}  // namespace stasis::snapshot
