#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace stasis::devices {

struct MetadataWrite;

/// Fills `out` from `offset` on, blocking. kCorrupt: the file ends before.
base::Status read_bytes(int fd, std::uint64_t offset, std::span<std::byte> out);

/// Writes each, in order, blocking.
base::Status write_all(int fd, const std::vector<MetadataWrite>& writes);

/// fdatasync(2).
base::Status sync_data(int fd);

}  // namespace stasis::devices
