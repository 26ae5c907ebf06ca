#include "snapshot/ram_contents.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "snapshot/ram_scan.h"

namespace stasis::snapshot {
namespace {

alignas(64) constexpr std::array<std::byte, std::size_t{64} << 10> kZeros{};

}  // namespace

int RamContents::find_runs() {
  if (const int error = find_stored_runs(regions_, runs_); error != 0) return error;
  for (const RamRun& run : runs_.items()) {
    if (!packed_starts_.push(stored_bytes())) return ENOMEM;
    stored_pages_ += run.page_count;
  }
  return 0;
}

std::span<const std::byte> RamContents::bytes_of(const RamRun& run) const {
  std::uint64_t offset = run.first_page * kPageBytes;
  for (const auto& region : regions_) {
    if (offset < region.bytes.size()) {
      return region.bytes.subspan(offset, run.page_count * kPageBytes);
    }
    offset -= region.bytes.size();
  }
  STASIS_CHECK(false);  // runs come from these regions
}

std::size_t RamContents::run_of_packed(std::uint64_t start) const {
  const auto starts = packed_starts_.items();
  return static_cast<std::size_t>(std::upper_bound(starts.begin(), starts.end(), start) -
                                  starts.begin()) -
         1;
}

std::uint64_t BlockDigests::block_end() const {
  return std::min((position_ / kBlockBytes + 1) * kBlockBytes, ram_bytes_);
}

bool BlockDigests::add_in_block(std::span<const std::byte> bytes) {
  hasher_.add(bytes);
  position_ += bytes.size();
  if (position_ % kBlockBytes != 0 && position_ != ram_bytes_) return true;
  const std::uint64_t digest = hasher_.digest();
  hasher_.reset();
  return digests_.push(digest);
}

bool BlockDigests::add(std::uint64_t position, std::span<const std::byte> bytes) {
  if (!add_zeros_to(position)) return false;
  while (!bytes.empty()) {
    const auto piece = bytes.first(std::min<std::size_t>(bytes.size(), block_end() - position_));
    if (!add_in_block(piece)) return false;
    bytes = bytes.subspan(piece.size());
  }
  return true;
}

bool BlockDigests::add_zeros_to(std::uint64_t position) {
  while (position_ < position) {
    const bool is_whole_block = position_ % kBlockBytes == 0 && position - position_ >= kBlockBytes;
    if (is_whole_block && zero_block_digest_ != 0) {
      if (!digests_.push(zero_block_digest_)) return false;
      position_ += kBlockBytes;
      continue;
    }
    const std::uint64_t end = std::min(position, block_end());
    while (position_ < end) {
      const auto piece = std::min<std::uint64_t>(kZeros.size(), end - position_);
      if (!add_in_block(std::span(kZeros).first(piece))) return false;
    }
    if (is_whole_block) zero_block_digest_ = digests_.back();
  }
  return true;
}

}  // namespace stasis::snapshot
