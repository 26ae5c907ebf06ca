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

/// Gets the host to write what it holds back of a file, up to the file's end, and does not wait for
/// the storage: `sync_data` does, and then has little left to hand over. In small pieces, as a
/// kernel that is not preempted keeps other threads off the CPU for as long as a call works: a
/// large file's fdatasync 20 ms and more, a piece about one. Errors are `sync_data`'s to tell.
/// Source: sync_file_range(2).
void begin_write_back(int fd);

}  // namespace stasis::devices
