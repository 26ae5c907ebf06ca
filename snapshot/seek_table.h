#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace stasis::snapshot {

// zstd's seekable format, as in contrib/seekable_format/zstd_seekable_compression_format.md of
// github.com/facebook/zstd, version 0.1.0: frames, then a table of them in a skippable frame.

/// One frame as the table tells of it, little-endian.
struct SeekEntry {
  std::uint32_t compressed_bytes = 0;
  std::uint32_t content_bytes = 0;
  std::uint32_t checksum = 0;  ///< low 32 bits of the content's XXH64 (seed 0)
};
static_assert(sizeof(SeekEntry) == 12);

inline constexpr std::uint32_t kSkippableMagic = 0x184D2A5E;
inline constexpr std::uint32_t kSeekableMagic = 0x8F92EAB1;
inline constexpr std::size_t kSeekHeaderBytes = 8;  ///< magic, length of what follows
inline constexpr std::size_t kSeekFooterBytes = 9;  ///< frames, flags, magic
inline constexpr std::uint8_t kSeekChecksumFlag = 0x80;

/// Size of the whole table.
constexpr std::uint64_t seek_table_bytes(std::uint64_t frames) {
  return kSeekHeaderBytes + frames * sizeof(SeekEntry) + kSeekFooterBytes;
}

/// Number of frames, by the last kSeekFooterBytes of a file of `file_bytes` bytes; checked against
/// that size. Errors: kCorrupt.
base::Result<std::uint64_t> decode_seek_footer(std::span<const std::byte> footer,
                                               std::uint64_t file_bytes);

/// The table out of its bytes (`seek_table_bytes`), for a file of `file_bytes` bytes that has to
/// hold `content_bytes` in frames of kFrameBytes, only the last smaller. Errors: kCorrupt.
base::Result<std::vector<SeekEntry>> decode_seek_table(std::span<const std::byte> table,
                                                       std::uint64_t file_bytes,
                                                       std::uint64_t content_bytes);

}  // namespace stasis::snapshot
