#include "devices/block/qcow2_refcounts.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "devices/block/file_bytes.h"

namespace stasis::devices {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

// As many clusters are looked after at most: two bits of memory for each.
constexpr std::uint64_t kMaxClusters = std::uint64_t{1} << 31;
constexpr std::uint64_t kGrowthBytes = 4 << 20;
constexpr std::uint64_t kMaxTableBytes = 8 << 20;  // as QEMU's limit

constexpr std::string_view kRepair = "repair it with: qemu-img check -r all FILE";

}  // namespace

Qcow2Refcounts::Qcow2Refcounts(const Qcow2Header& header, int fd, std::uint64_t file_bytes)
    : fd_(fd),
      cluster_bits_(header.cluster_bits),
      order_(header.refcount_order),
      per_block_(header.refcounts_per_block()),
      piece_size_(std::min<std::uint64_t>(header.cluster_size(), 4096)),
      table_offset_(header.refcount_table_offset),
      table_(header.refcount_blocks()),
      file_clusters_((file_bytes + header.cluster_size() - 1) >> header.cluster_bits),
      fresh_from_(file_clusters_) {}

Status Qcow2Refcounts::load() {
  if (file_clusters_ > kMaxClusters) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("has {} clusters, more than {}; convert it to larger clusters with: "
                            "qemu-img convert -O qcow2 OLD NEW",
                            file_clusters_, kMaxClusters));
  }
  reserved_.resize(file_clusters_);
  counted_.resize(file_clusters_);
  TRY(reference(0, 1, "the header"));
  TRY(reference(table_offset_, table_.size() * 8, "the refcount table"));
  std::vector<std::byte> bytes(table_.size() * 8);
  TRY(read_bytes(fd_, table_offset_, bytes));
  for (std::size_t i = 0; i < table_.size(); ++i) {
    table_[i] = load_be(bytes, i * 8, 8);
    if (table_[i] == 0) continue;
    if ((table_[i] & ~kQcow2OffsetMask) != 0) {
      return fail(ErrorKind::kCorrupt,
                  fmt::format("refcount block {} at {:#x}; {}", i, table_[i], kRepair));
    }
    TRY(reference(table_[i], std::uint64_t{1} << cluster_bits_, "a refcount block"));
  }
  return {};
}

Status Qcow2Refcounts::reference(std::uint64_t offset, std::uint64_t bytes, std::string_view what) {
  const std::uint64_t first = offset >> cluster_bits_;
  const std::uint64_t mask = (std::uint64_t{1} << cluster_bits_) - 1;
  const std::uint64_t count = (bytes + mask) >> cluster_bits_;
  if ((offset & mask) != 0 || first >= file_clusters_ || count > file_clusters_ - first) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("{} at {:#x} is not inside the file; {}", what, offset, kRepair));
  }
  for (std::uint64_t i = first; i < first + count; ++i) {
    if (reserved_[i]) {
      return fail(ErrorKind::kCorrupt, fmt::format("{} at {:#x} lies where something else is; {}",
                                                   what, i << cluster_bits_, kRepair));
    }
    reserved_[i] = true;
    counted_[i] = true;
  }
  return {};
}

Status Qcow2Refcounts::compare() {
  // What no block covers has the refcount 0.
  for (std::uint64_t i = 0; i < file_clusters_; ++i) {
    const std::uint64_t block = i / per_block_;
    if (block < table_.size() && table_[block] != 0) {
      i = (block + 1) * per_block_ - 1;
      continue;
    }
    TRY(compare_cluster(i, 0));
  }
  for (std::uint64_t block = 0; block < table_.size(); ++block) {
    if (table_[block] != 0) TRY(compare_block(block));
  }
  return {};
}

Status Qcow2Refcounts::compare_block(std::uint64_t block) {
  std::vector<std::byte> bytes(std::size_t{1} << cluster_bits_);
  TRY(read_bytes(fd_, table_[block], bytes));
  for (std::uint64_t i = 0; i < per_block_; ++i) {
    TRY(compare_cluster(block * per_block_ + i, refcount_on_disk(bytes, i)));
  }
  return {};
}

Status Qcow2Refcounts::compare_cluster(std::uint64_t cluster, std::uint64_t refcount) {
  const std::uint64_t expected = is_set(counted_, cluster) ? 1 : 0;
  if (refcount == expected) return {};
  if (refcount < expected) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("cluster {} is used, but its refcount is 0; {}", cluster, kRepair));
  }
  changes_.pieces.insert(((cluster << order_) / 8) / piece_size_);
  return {};
}

/// The least significant bits of a byte are the first refcounts in it.
std::uint64_t Qcow2Refcounts::refcount_on_disk(std::span<const std::byte> block,
                                               std::uint64_t index) const {
  if (order_ >= 3) {
    const std::size_t size = std::size_t{1} << (order_ - 3);
    return load_be(block, index * size, size);
  }
  const std::uint64_t bit = index << order_;
  const auto byte = std::to_integer<unsigned>(block[bit / 8]);
  return byte >> (bit % 8) & ((1U << (1U << order_)) - 1);
}

/// A piece is a part of the refcounts, counted from the first on: blocks are pieces in a row.
std::vector<std::byte> Qcow2Refcounts::piece_bytes(std::uint64_t piece) const {
  std::vector<std::byte> bytes(piece_size_);
  const std::uint64_t count = (piece_size_ * 8) >> order_;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!is_set(counted_, piece * count + i)) continue;
    const std::uint64_t bit = i << order_;
    if (order_ < 3) {
      bytes[bit / 8] |= static_cast<std::byte>(1U << (bit % 8));
    } else {
      bytes[bit / 8 + (std::size_t{1} << (order_ - 3)) - 1] = std::byte{1};
    }
  }
  return bytes;
}

void Qcow2Refcounts::mark(std::vector<bool>& bits, std::uint64_t cluster) const {
  if (cluster >= bits.size()) bits.resize(std::max<std::uint64_t>(cluster + 1, file_clusters_));
  bits[cluster] = true;
}

void Qcow2Refcounts::set_counted(std::uint64_t cluster, bool is_counted) {
  if (is_counted) {
    mark(reserved_, cluster);
    mark(counted_, cluster);
  } else {
    counted_[cluster] = false;
    reserved_[cluster] = false;
  }
  changes_.pieces.insert(((cluster << order_) / 8) / piece_size_);
}

Status Qcow2Refcounts::grow_file(std::uint64_t clusters) {
  if (clusters <= file_clusters_) return {};
  // In steps, because it is a system call; what is too much goes when the file is closed.
  const std::uint64_t step = std::max<std::uint64_t>(kGrowthBytes >> cluster_bits_, 1);
  const std::uint64_t target = std::max(clusters, file_clusters_ + step);
  if (::ftruncate(fd_, static_cast<off_t>(target << cluster_bits_)) < 0) {
    return fail(base::errno_error("growing the file"));
  }
  file_clusters_ = target;
  return {};
}

Result<std::uint64_t> Qcow2Refcounts::allocate() {
  while (is_set(reserved_, cursor_)) ++cursor_;
  const std::uint64_t block = cursor_ / per_block_;
  if (block >= table_.size() || cursor_ >= kMaxClusters) {
    return fail(ErrorKind::kOutOfResources, "no refcount left for another cluster");
  }
  TRY(grow_file(cursor_ + 1));
  if (table_[block] == 0) {
    // The block goes to the first cluster that it counts itself.
    table_[block] = cursor_ << cluster_bits_;
    changes_.table_pieces.insert(block * 8 / piece_size_);
    const std::uint64_t pieces = (std::uint64_t{1} << cluster_bits_) / piece_size_;
    for (std::uint64_t i = 0; i < pieces; ++i) changes_.pieces.insert(block * pieces + i);
    set_counted(cursor_, true);
    return allocate();
  }
  mark(reserved_, cursor_);
  return cursor_++ << cluster_bits_;
}

void Qcow2Refcounts::release(std::uint64_t offset, bool was_written) {
  const std::uint64_t cluster = offset >> cluster_bits_;
  if (was_written) fresh_from_ = std::max(fresh_from_, cluster + 1);
  reserved_[cluster] = false;
  cursor_ = std::min(cursor_, cluster);
}

std::uint64_t Qcow2Refcounts::used_bytes() const {
  std::uint64_t end = std::min<std::uint64_t>(counted_.size(), file_clusters_);
  while (end > 0 && !counted_[end - 1] && !is_set(reserved_, end - 1)) --end;
  return end << cluster_bits_;
}

Result<bool> Qcow2Refcounts::reserve_table(std::uint64_t clusters, Qcow2Header& header) {
  std::uint64_t blocks = (clusters + per_block_ - 1) / per_block_;
  blocks += blocks / 16 + 2;  // for the blocks themselves and the table
  const std::uint64_t bytes = std::min(blocks * 8, kMaxTableBytes);
  if (bytes <= table_.size() * 8) return false;
  const std::uint64_t table_clusters = ((bytes - 1) >> cluster_bits_) + 1;
  TRY(move_table(table_clusters, header));
  return true;
}

/// A larger table at the end of the file. The old one is in force until the header says otherwise;
/// if that never happens the new one is a leak.
Status Qcow2Refcounts::move_table(std::uint64_t table_clusters, Qcow2Header& header) {
  const std::uint64_t old_offset = table_offset_;
  const std::uint64_t old_clusters = header.refcount_table_clusters;
  table_.resize((table_clusters << cluster_bits_) / 8);
  cursor_ = file_clusters_;
  std::vector<std::uint64_t> run;
  while (run.size() < table_clusters) {
    const std::uint64_t offset = TRY(allocate());
    // A block of refcounts may have come in between; what was taken before it stays unused.
    if (!run.empty() && offset != run.back() + header.cluster_size()) run.clear();
    run.push_back(offset);
  }
  for (const std::uint64_t offset : run) count(offset);
  table_offset_ = run.front();
  for (std::uint64_t i = 0; i * piece_size_ < table_.size() * 8; ++i) {
    changes_.table_pieces.insert(i);
  }
  const Changes changes = take_changes();
  TRY(write_all(fd_, block_writes(changes)));
  TRY(write_all(fd_, table_writes(changes)));
  TRY(sync_data(fd_));
  MetadataWrite field{kQcow2RefcountTableField, std::vector<std::byte>(12)};
  store_be(field.bytes, 0, 8, table_offset_);
  store_be(field.bytes, 8, 4, table_clusters);
  TRY(write_all(fd_, {field}));
  TRY(sync_data(fd_));
  header.refcount_table_offset = table_offset_;
  header.refcount_table_clusters = static_cast<std::uint32_t>(table_clusters);
  for (std::uint64_t i = 0; i < old_clusters; ++i) {
    set_counted((old_offset >> cluster_bits_) + i, false);
  }
  cursor_ = 1;
  return {};
}

Qcow2Refcounts::Changes Qcow2Refcounts::take_changes() {
  return std::exchange(changes_, {});
}

void Qcow2Refcounts::put_back(Changes changes) {
  changes_.pieces.merge(changes.pieces);
  changes_.table_pieces.merge(changes.table_pieces);
}

std::vector<MetadataWrite> Qcow2Refcounts::block_writes(const Changes& changes) const {
  std::vector<MetadataWrite> writes;
  const std::uint64_t pieces = (std::uint64_t{1} << cluster_bits_) / piece_size_;
  for (const std::uint64_t piece : changes.pieces) {
    const std::uint64_t block = table_[piece / pieces];
    if (block == 0) continue;
    writes.push_back({block + piece % pieces * piece_size_, piece_bytes(piece)});
  }
  return writes;
}

std::vector<MetadataWrite> Qcow2Refcounts::table_writes(const Changes& changes) const {
  std::vector<MetadataWrite> writes;
  for (const std::uint64_t piece : changes.table_pieces) {
    MetadataWrite write{table_offset_ + piece * piece_size_, std::vector<std::byte>(piece_size_)};
    for (std::uint64_t i = 0; i < piece_size_ / 8; ++i) {
      store_be(write.bytes, i * 8, 8, table_[piece * piece_size_ / 8 + i]);
    }
    writes.push_back(std::move(write));
  }
  return writes;
}

}  // namespace stasis::devices
