#include "snapshot/seek_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "snapshot/ram_index.h"

namespace stasis::snapshot {
namespace {

tl::unexpected<base::Error> corrupt_seek_table(std::string message) {
  return base::fail(base::ErrorKind::kCorrupt, std::move(message));
}

std::uint32_t word_at(std::span<const std::byte> bytes, std::size_t offset) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

base::Status check_frames(const std::vector<SeekEntry>& frames, std::uint64_t file_bytes,
                          std::uint64_t content_bytes) {
  std::uint64_t compressed = 0;
  std::uint64_t content = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const std::uint64_t wanted = std::min(kFrameBytes, content_bytes - content);
    if (wanted == 0 || frames[i].content_bytes != wanted) {
      return corrupt_seek_table(
          fmt::format("frame {} holds {} bytes, not {}", i, frames[i].content_bytes, wanted));
    }
    compressed += frames[i].compressed_bytes;
    content += wanted;
  }
  if (content != content_bytes) {
    return corrupt_seek_table(
        fmt::format("{} frames hold {} bytes, not {}", frames.size(), content, content_bytes));
  }
  if (compressed + seek_table_bytes(frames.size()) == file_bytes) return {};
  return corrupt_seek_table(fmt::format("is {} bytes long, but frames and table need {}",
                                        file_bytes, compressed + seek_table_bytes(frames.size())));
}

}  // namespace

base::Result<std::uint64_t> decode_seek_footer(std::span<const std::byte> footer,
                                               std::uint64_t file_bytes) {
  if (footer.size() != kSeekFooterBytes || word_at(footer, 5) != kSeekableMagic) {
    return corrupt_seek_table("does not end in a zstd seek table; it may be cut off");
  }
  if (std::to_integer<std::uint8_t>(footer[4]) != kSeekChecksumFlag) {
    return corrupt_seek_table("seek table without checksums, or with unknown flags");
  }
  const std::uint64_t frames = word_at(footer, 0);
  if (seek_table_bytes(frames) <= file_bytes) return frames;
  return corrupt_seek_table(fmt::format("seek table of {} frames in {} bytes", frames, file_bytes));
}

base::Result<std::vector<SeekEntry>> decode_seek_table(std::span<const std::byte> table,
                                                       std::uint64_t file_bytes,
                                                       std::uint64_t content_bytes) {
  if (table.size() < seek_table_bytes(0)) return corrupt_seek_table("seek table is cut off");
  const std::uint64_t frames = TRY(decode_seek_footer(table.last(kSeekFooterBytes), file_bytes));
  if (table.size() != seek_table_bytes(frames) || word_at(table, 0) != kSkippableMagic ||
      word_at(table, 4) != table.size() - kSeekHeaderBytes) {
    return corrupt_seek_table("seek table does not begin where it should");
  }
  std::vector<SeekEntry> entries(frames);
  if (frames > 0) {
    std::memcpy(entries.data(), table.data() + kSeekHeaderBytes, frames * sizeof(SeekEntry));
  }
  TRY(check_frames(entries, file_bytes, content_bytes));
  return entries;
}

}  // namespace stasis::snapshot
