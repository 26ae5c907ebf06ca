#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"

namespace stasis::snapshot {

// A position is a place in the guest's RAM with its regions one behind the other, in bytes.
inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20;   // one checksum each
inline constexpr std::uint64_t kFrameBytes = std::uint64_t{64} << 10;  // one zstd frame each

/// Pages behind each other that are not all zero: those of RAM that an image holds.
struct RamRun {
  std::uint64_t first_page = 0;  ///< position / kPageBytes
  std::uint64_t page_count = 0;

  std::uint64_t end_page() const { return first_page + page_count; }
  bool operator==(const RamRun&) const = default;
};

/// How the pages of the runs lie in their file.
enum class RamLayout : std::uint32_t {
  kIdentity = 1,  ///< `ram.raw`: offset = position
  kZstd = 2,      ///< `ram.zst`: packed one behind the other, in frames of kFrameBytes
};

/// The beginning of `ram.index` (docs/snapshot-format.md), little-endian.
struct RamIndexHeader {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t layout = 0;
  std::uint64_t ram_bytes = 0;
  std::uint32_t page_bytes = 0;
  std::uint32_t block_bytes = 0;
  std::uint64_t run_count = 0;
  std::uint64_t block_count = 0;
  std::uint64_t stored_pages = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(RamIndexHeader) == 64);

inline constexpr std::uint64_t kRamIndexMagic = 0x5844494D41525453;  // "STRAMIDX"
inline constexpr std::uint32_t kRamIndexVersion = 1;

/// What is where in a RAM image, and what each block of it must be.
struct RamIndex {
  RamLayout layout = RamLayout::kIdentity;
  std::uint64_t ram_bytes = 0;  ///< sum of all regions; a multiple of kPageBytes
  std::uint64_t stored_pages = 0;
  std::vector<RamRun> runs;                  ///< ascending, apart or touching
  std::vector<std::uint64_t> block_digests;  ///< XXH3-64 of each kBlockBytes of RAM; the last: less
};

constexpr std::uint64_t block_count(std::uint64_t ram_bytes) {
  return (ram_bytes + kBlockBytes - 1) / kBlockBytes;
}

std::uint64_t total_bytes(std::span<const base::MemoryRegion> regions);

/// Reads `ram.index`. Every count is checked against the bytes that are there before it is used.
/// Errors: kCorrupt; kUnsupported for a newer version.
base::Result<RamIndex> decode_ram_index(std::span<const std::byte> bytes);

}  // namespace stasis::snapshot
