#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "snapshot/digest.h"
#include "snapshot/mapping_plan.h"
#include "snapshot/ram_image.h"
#include "snapshot/snapshot_files.h"

// The half of RamImage that reads `ram.raw`.
namespace stasis::snapshot {
namespace {

/// First byte at or behind `offset` that is not in a hole; the end of the file when all are.
std::uint64_t next_data(const base::Fd& fd, std::uint64_t offset, std::uint64_t size) {
  const off_t found = ::lseek(fd.get(), static_cast<off_t>(offset), SEEK_DATA);
  return found < 0 ? size : static_cast<std::uint64_t>(found);
}

base::Status map_one(const base::Fd& fd, const RamRun& run, std::byte* to) {
  void* mapped = ::mmap(to, run.page_count * kPageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd.get(),
                        static_cast<off_t>(run.first_page * kPageBytes));
  if (mapped != MAP_FAILED) return {};
  return base::fail(
      base::errno_error(fmt::format("mapping {} pages of guest memory", run.page_count)));
}

}  // namespace

base::Result<RamFillReport> RamImage::map_into(
    const std::vector<base::MemoryRegion>& regions) const {
  RamFillReport report;
  report.is_mapped = true;
  report.was_checked_in_full = has_new_time_;
  std::uint64_t first_page = 0;
  for (const auto& region : regions) {
    const std::uint64_t page_count = region.bytes.size() / kPageBytes;
    for (const RamRun& run : plan_mappings(index_.runs, {first_page, page_count})) {
      TRY(map_one(data_, run, region.bytes.data() + (run.first_page - first_page) * kPageBytes));
      ++report.mappings;
      report.filled_bytes += run.page_count * kPageBytes;
    }
    // A wish, as for RAM of a machine that boots: guest memory has no place in a core dump.
    ::madvise(region.bytes.data(), region.bytes.size(), MADV_DONTDUMP);
    first_page += page_count;
  }
  return report;
}

base::Status RamImage::verify_raw(VerifyProgress& progress) const {
  std::vector<std::byte> buffer(kBlockBytes);
  BlockHasher hasher;
  hasher.add(buffer);
  const std::uint64_t zero_digest = hasher.digest();
  std::uint64_t data = next_data(data_, 0, index_.ram_bytes);
  for (std::uint64_t block = 0; block < index_.block_digests.size(); ++block) {
    const std::uint64_t start = block * kBlockBytes;
    const auto bytes = std::span(buffer).first(std::min(kBlockBytes, index_.ram_bytes - start));
    if (data < start) data = next_data(data_, start, index_.ram_bytes);
    const bool is_hole = data >= start + bytes.size() && bytes.size() == kBlockBytes;
    if (!is_hole) {
      TRY(read_at(data_, record_.name, start, bytes));
      hasher.reset();
      hasher.add(bytes);
    }
    TRY(check_block(block, is_hole ? zero_digest : hasher.digest()));
    TRY(progress.add(bytes.size()));
  }
  return {};
}

}  // namespace stasis::snapshot
