#include <fmt/format.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "base/guarded.h"
#include "snapshot/ram_contents.h"
#include "snapshot/ram_image.h"
#include "snapshot/snapshot_files.h"

// The half of RamImage that reads `ram.zst`.
namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

constexpr unsigned kMaxThreads = 16;

/// Where packed pages belong: the image's runs laid over a machine's regions.
class PageScatter {
 public:
  PageScatter(const RamIndex& index, std::span<const base::MemoryRegion> regions)
      : index_(index), regions_(regions) {
    std::uint64_t pages = 0;
    for (const RamRun& run : index.runs) {
      packed_starts_.push_back(pages * kPageBytes);
      pages += run.page_count;
    }
  }

  /// Memory of the packed bytes [start, start + size) when it lies in one piece.
  std::optional<std::span<std::byte>> whole(std::uint64_t start, std::uint64_t size) const {
    std::optional<std::span<std::byte>> found;
    for_each(start, size, [&](std::uint64_t position, std::uint64_t length) {
      const auto piece = memory_at(position);
      if (length == size && piece.size() >= size) found = piece.first(size);
    });
    return found;
  }

  void copy(std::uint64_t start, std::span<const std::byte> bytes) const {
    for_each(start, bytes.size(), [&](std::uint64_t position, std::uint64_t length) {
      while (length > 0) {
        const auto memory = memory_at(position);
        const auto size = std::min<std::uint64_t>(memory.size(), length);
        std::memcpy(memory.data(), bytes.data(), size);
        bytes = bytes.subspan(size);
        position += size;
        length -= size;
      }
    });
  }

  /// Calls `action(position, size)` for each piece.
  template <typename Action>
  void for_each(std::uint64_t start, std::uint64_t size, Action&& action) const {
    const auto behind = std::upper_bound(packed_starts_.begin(), packed_starts_.end(), start);
    for (auto i = static_cast<std::size_t>(behind - packed_starts_.begin()) - 1; size > 0; ++i) {
      const std::uint64_t skipped = start - packed_starts_[i];
      const auto length = std::min(index_.runs[i].page_count * kPageBytes - skipped, size);
      action(index_.runs[i].first_page * kPageBytes + skipped, length);
      start += length;
      size -= length;
    }
  }

 private:
  /// From `position` to the end of its region.
  std::span<std::byte> memory_at(std::uint64_t position) const {
    for (const auto& region : regions_) {
      if (position < region.bytes.size()) return region.bytes.subspan(position);
      position -= region.bytes.size();
    }
    return {};  // runs are within RAM: RamImage::open and fill have checked
  }

  const RamIndex& index_;
  std::span<const base::MemoryRegion> regions_;
  std::vector<std::uint64_t> packed_starts_;
};

struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// Reads and decodes frames. One a thread.
class FrameReader {
 public:
  FrameReader(const base::Fd& data, std::string name)
      : data_(data), name_(std::move(name)), context_(ZSTD_createDCtx()) {}

  /// The compressed bytes; valid until the next call.
  base::Result<std::span<const std::byte>> read(std::uint64_t offset, const SeekEntry& frame) {
    bytes_.resize(frame.compressed_bytes);
    TRY(read_at(data_, name_, offset, bytes_));
    return bytes_;
  }

  /// Reads and decodes frame `number`, all of `out.size()` bytes of content.
  base::Status decode(std::size_t number, std::uint64_t offset, const SeekEntry& frame,
                      std::span<std::byte> out) {
    const auto bytes = TRY(read(offset, frame));
    const auto where = [&] {
      return fmt::format("\"{}\": frame {} (bytes {} to {})", name_, number, offset,
                         offset + bytes.size());
    };
    std::uint32_t checksum = 0;
    if (bytes.size() < sizeof checksum) return fail(ErrorKind::kCorrupt, where() + " is too short");
    std::memcpy(&checksum, bytes.data() + bytes.size() - sizeof checksum, sizeof checksum);
    // Frames end in the checksum of their content, which zstd compares with what it has decoded.
    if (checksum != frame.checksum) {
      return fail(ErrorKind::kCorrupt,
                  fmt::format("{} has checksum {:08x}, not {:08x}: the file was changed or damaged",
                              where(), checksum, frame.checksum));
    }
    const std::size_t size =
        ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), bytes.data(), bytes.size());
    if (size == out.size()) return {};
    return fail(ErrorKind::kCorrupt,
                fmt::format("{} does not decode: {}", where(),
                            ZSTD_isError(size) != 0U ? ZSTD_getErrorName(size)
                                                     : "wrong amount of content"));
  }

 private:
  const base::Fd& data_;
  std::string name_;
  std::unique_ptr<ZSTD_DCtx, FreeContext> context_;
  std::vector<std::byte> bytes_;
};

struct PlacedFrame {
  std::uint64_t file_offset = 0;
  std::uint64_t packed_offset = 0;
};

std::vector<PlacedFrame> place(const std::vector<SeekEntry>& frames) {
  std::vector<PlacedFrame> placed;
  PlacedFrame next;
  for (const SeekEntry& frame : frames) {
    placed.push_back(next);
    next.file_offset += frame.compressed_bytes;
    next.packed_offset += frame.content_bytes;
  }
  return placed;
}

/// Decodes all frames into memory; threads take the next one in turn.
class ParallelDecoder {
 public:
  ParallelDecoder(const PageScatter& scatter, const std::vector<SeekEntry>& frames,
                  const base::Fd& data, std::string name)
      : scatter_(scatter),
        frames_(frames),
        placed_(place(frames)),
        data_(data),
        name_(std::move(name)) {}

  base::Status run() {
    const std::size_t wanted = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads);
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < std::min(wanted, frames_.size()); ++i) {
      threads.emplace_back([this] { work(); });
    }
    work();
    for (auto& thread : threads) thread.join();
    return status_.with([](const base::Status& status) { return status; });
  }

 private:
  void work() {
    FrameReader reader(data_, name_);
    std::vector<std::byte> buffer(kFrameBytes);
    for (std::size_t i = next_++; i < frames_.size(); i = next_++) {
      const auto decoded = decode(reader, i, buffer);
      if (decoded) continue;
      next_ = frames_.size();  // the others stop, too
      status_.with([&](base::Status& status) {
        if (status) status = decoded;
      });
    }
  }

  base::Status decode(FrameReader& reader, std::size_t i, std::span<std::byte> buffer) {
    const std::uint64_t start = placed_[i].packed_offset;
    const auto in_place = scatter_.whole(start, frames_[i].content_bytes);
    const auto out = in_place.value_or(buffer.first(frames_[i].content_bytes));
    TRY(reader.decode(i, placed_[i].file_offset, frames_[i], out));
    if (!in_place) scatter_.copy(start, out);
    return {};
  }

  const PageScatter& scatter_;
  const std::vector<SeekEntry>& frames_;
  std::vector<PlacedFrame> placed_;
  const base::Fd& data_;
  std::string name_;
  std::atomic<std::size_t> next_{0};
  base::Guarded<base::Status> status_;
};

}  // namespace

base::Status RamImage::open_frames() {
  std::array<std::byte, kSeekFooterBytes> footer;
  const std::uint64_t size = record_.size_bytes;
  const auto read_table = [&]() -> base::Status {
    if (size < seek_table_bytes(0)) {
      return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": is {} bytes long", record_.name, size));
    }
    TRY(read_at(data_, record_.name, size - footer.size(), footer));
    const std::uint64_t frames = TRY(decode_seek_footer(footer, size));
    std::vector<std::byte> table(seek_table_bytes(frames));
    TRY(read_at(data_, record_.name, size - table.size(), table));
    frames_ = TRY(decode_seek_table(table, size, index_.stored_pages * kPageBytes));
    return {};
  };
  const auto read = read_table();
  return read ? read : fail(read.error().with_context(fmt::format("\"{}\"", record_.name)));
}

base::Result<RamFillReport> RamImage::decode_into(
    const std::vector<base::MemoryRegion>& regions) const {
  const PageScatter scatter(index_, regions);
  TRY(ParallelDecoder(scatter, frames_, data_, record_.name).run());
  RamFillReport report;
  report.filled_bytes = index_.stored_pages * kPageBytes;
  report.was_checked_in_full = true;
  return report;
}

base::Status RamImage::verify_frames(VerifyProgress& progress) const {
  const PageScatter scatter(index_, {});
  FrameReader reader(data_, record_.name);
  std::vector<std::byte> content(kFrameBytes);
  BlockDigests blocks(index_.ram_bytes);
  const auto placed = place(frames_);
  bool has_memory = true;
  for (std::size_t i = 0; i < frames_.size() && has_memory; ++i) {
    auto rest = std::span<const std::byte>(content).first(frames_[i].content_bytes);
    TRY(reader.decode(i, placed[i].file_offset, frames_[i],
                      std::span(content).first(frames_[i].content_bytes)));
    scatter.for_each(placed[i].packed_offset, rest.size(),
                     [&](std::uint64_t position, std::uint64_t size) {
                       has_memory = has_memory && blocks.add(position, rest.first(size));
                       rest = rest.subspan(size);
                     });
    TRY(progress.add(frames_[i].compressed_bytes));
  }
  if (!has_memory || !blocks.finish()) {
    return fail(ErrorKind::kOutOfResources, "no memory left for checksums");
  }
  for (std::uint64_t block = 0; block < index_.block_digests.size(); ++block) {
    TRY(check_block(block, blocks.digests()[block]));
  }
  return {};
}

}  // namespace stasis::snapshot
