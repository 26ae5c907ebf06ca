#include "snapshot/ram_image.h"

#include <fmt/format.h>

#include "snapshot/ram_capture.h"
#include "snapshot/snapshot_files.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{4} << 30;  // 1 TiB of RAM in the worst order

base::Result<const FileRecord*> find_record(const Manifest& manifest, const char* name) {
  if (const FileRecord* record = manifest.file(name); record != nullptr) return record;
  return fail(ErrorKind::kCorrupt, fmt::format("the manifest does not name \"{}\"", name));
}

}  // namespace

base::Result<RamImage> RamImage::open(const base::Fd& folder, const Manifest& manifest) {
  const FileRecord* index_record = TRY(find_record(manifest, kRamIndexFile));
  const auto bytes = TRY(read_recorded_file(folder, *index_record, kMaxIndexBytes));
  auto index = decode_ram_index(bytes);
  if (!index) return fail(index.error().with_context(fmt::format("\"{}\"", kRamIndexFile)));
  const bool is_raw = index->layout == RamLayout::kIdentity;
  const FileRecord* record = TRY(find_record(manifest, is_raw ? kRawRamFile : kZstdRamFile));
  if (is_raw && record->size_bytes != index->ram_bytes) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("\"{}\": is {} bytes long for {} bytes of memory", record->name,
                            record->size_bytes, index->ram_bytes));
  }
  auto data = TRY(open_recorded_file(folder, *record));
  RamImage image(std::move(*index), std::move(data.fd), *record);
  image.has_new_time_ = data.mtime_ns != record->mtime_ns;
  if (!is_raw) TRY(image.open_frames());
  return image;
}

base::Result<RamFillReport> RamImage::fill(const std::vector<base::MemoryRegion>& regions) const {
  if (total_bytes(regions) != index_.ram_bytes) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("the snapshot holds {} MiB of memory, the machine has {} MiB",
                            index_.ram_bytes >> 20, total_bytes(regions) >> 20));
  }
  if (index_.layout == RamLayout::kZstd) return decode_into(regions);
  if (has_new_time_) {
    // Somebody wrote to it, or it is a copy: reading all of it is the only way to know.
    VerifyProgress progress(nullptr, 0);
    TRY(verify_raw(progress));
  }
  return map_into(regions);
}

base::Status RamImage::verify(VerifyProgress& progress) const {
  return index_.layout == RamLayout::kZstd ? verify_frames(progress) : verify_raw(progress);
}

base::Status RamImage::check_block(std::uint64_t block, std::uint64_t digest) const {
  if (digest == index_.block_digests[block]) return {};
  const std::uint64_t start = block * kBlockBytes;
  const std::uint64_t end = std::min(start + kBlockBytes, index_.ram_bytes);
  return fail(
      ErrorKind::kCorrupt,
      fmt::format("\"{}\": bytes {} to {} of memory have checksum {:016x}, not {:016x}: the "
                  "file was changed or damaged",
                  record_.name, start, end, digest, index_.block_digests[block]));
}

}  // namespace stasis::snapshot
