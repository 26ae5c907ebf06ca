#include "tests/fuzz/fuzz_seek_table.h"

#include <cstring>

#include "base/check.h"
#include "snapshot/seek_table.h"

namespace stasis::fuzz {

// Two numbers, size of the file and of its content, then the table.
void fuzz_seek_table(std::span<const std::uint8_t> input) {
  std::uint64_t file_bytes = 0;
  std::uint64_t content_bytes = 0;
  if (input.size() < 16) return;
  std::memcpy(&file_bytes, input.data(), 8);
  std::memcpy(&content_bytes, input.data() + 8, 8);
  const auto frames =
      snapshot::decode_seek_table(std::as_bytes(input.subspan(16)), file_bytes, content_bytes);
  if (!frames) return;
  std::uint64_t packed = 0;
  std::uint64_t content = 0;
  for (const auto& frame : *frames) {
    packed += frame.compressed_bytes;
    content += frame.content_bytes;
  }
  STASIS_CHECK(content == content_bytes);
  STASIS_CHECK(packed + snapshot::seek_table_bytes(frames->size()) == file_bytes);
}

}  // namespace stasis::fuzz
