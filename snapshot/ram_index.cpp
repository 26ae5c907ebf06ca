#include "snapshot/ram_index.h"

#include <fmt/format.h>

#include <cstring>

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

tl::unexpected<base::Error> corrupt_index(std::string message) {
  return fail(ErrorKind::kCorrupt, std::move(message));
}

base::Status check_version(const RamIndexHeader& header) {
  if (header.magic != kRamIndexMagic) return corrupt_index("is not an index of guest memory");
  if (header.version > kRamIndexVersion) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("version {} is newer than {} of this build; use the build that made "
                            "the snapshot",
                            header.version, kRamIndexVersion));
  }
  if (header.version == 0) return corrupt_index("version 0 does not exist");
  return {};
}

base::Status check_values(const RamIndexHeader& header) {
  const bool known_layout = header.layout == static_cast<std::uint32_t>(RamLayout::kIdentity) ||
                            header.layout == static_cast<std::uint32_t>(RamLayout::kZstd);
  if (!known_layout) return corrupt_index(fmt::format("layout {} is unknown", header.layout));
  if (header.page_bytes != kPageBytes || header.block_bytes != kBlockBytes) {
    return corrupt_index(fmt::format("pages of {} and blocks of {} bytes, not {} and {}",
                                     header.page_bytes, header.block_bytes, kPageBytes,
                                     kBlockBytes));
  }
  if (header.reserved != 0) return corrupt_index("a reserved field is not zero");
  constexpr std::uint64_t kMaxRam = std::uint64_t{1} << 52;  // of the architecture
  if (header.ram_bytes == 0 || header.ram_bytes > kMaxRam || header.ram_bytes % kPageBytes != 0) {
    return corrupt_index(fmt::format("{} bytes of memory are impossible", header.ram_bytes));
  }
  if (header.block_count != block_count(header.ram_bytes)) {
    return corrupt_index(
        fmt::format("{} checksums for {} bytes of memory", header.block_count, header.ram_bytes));
  }
  return {};
}

base::Status check_size(const RamIndexHeader& header, std::size_t size) {
  const std::uint64_t rest = size - sizeof header;
  // Each count against what is left, so that no product can overflow.
  if (header.run_count > rest / sizeof(RamRun) ||
      header.block_count != (rest - header.run_count * sizeof(RamRun)) / sizeof(std::uint64_t) ||
      rest % sizeof(std::uint64_t) != 0) {
    return corrupt_index(fmt::format("is {} bytes long, which do not hold {} runs and {} checksums",
                                     size, header.run_count, header.block_count));
  }
  return {};
}

base::Status check_runs(const RamIndex& index) {
  const std::uint64_t page_count = index.ram_bytes / kPageBytes;
  std::uint64_t end = 0;
  std::uint64_t pages = 0;
  for (std::size_t i = 0; i < index.runs.size(); ++i) {
    const RamRun& run = index.runs[i];
    if (run.first_page < end || run.page_count == 0 || run.first_page >= page_count ||
        run.page_count > page_count - run.first_page) {
      return corrupt_index(fmt::format("run {} (page {}, {} pages) lies over another or outside", i,
                                       run.first_page, run.page_count));
    }
    end = run.end_page();
    pages += run.page_count;
  }
  if (pages == index.stored_pages) return {};
  return corrupt_index(fmt::format("runs hold {} pages, not {}", pages, index.stored_pages));
}

}  // namespace

std::uint64_t total_bytes(std::span<const base::MemoryRegion> regions) {
  std::uint64_t sum = 0;
  for (const auto& region : regions) sum += region.bytes.size();
  return sum;
}

base::Result<RamIndex> decode_ram_index(std::span<const std::byte> bytes) {
  RamIndexHeader header;
  if (bytes.size() < sizeof header)
    return corrupt_index(fmt::format("is {} bytes long", bytes.size()));
  std::memcpy(&header, bytes.data(), sizeof header);
  TRY(check_version(header));
  TRY(check_values(header));
  TRY(check_size(header, bytes.size()));
  RamIndex index{static_cast<RamLayout>(header.layout), header.ram_bytes, header.stored_pages,
                 std::vector<RamRun>(header.run_count),
                 std::vector<std::uint64_t>(header.block_count)};
  const std::size_t runs_bytes = index.runs.size() * sizeof(RamRun);
  const std::byte* next = bytes.data() + sizeof header;
  if (runs_bytes > 0) std::memcpy(index.runs.data(), next, runs_bytes);
  std::memcpy(index.block_digests.data(), next + runs_bytes,
              index.block_digests.size() * sizeof(std::uint64_t));
  TRY(check_runs(index));
  return index;
}

}  // namespace stasis::snapshot
