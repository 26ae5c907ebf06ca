#pragma once

#include <sys/stat.h>

#include <cstdint>

namespace stasis::snapshot {

/// Which file it is, and of when: equal for two looks between which nobody changed it.
struct FileIdentity {
  explicit FileIdentity(const struct stat& status);
  bool operator==(const FileIdentity&) const = default;

  std::uint64_t device, inode, size_bytes;
  std::int64_t changed_s, changed_ns;
};

}  // namespace stasis::snapshot
