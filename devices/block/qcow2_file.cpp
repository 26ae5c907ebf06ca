#include "devices/block/qcow2_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "devices/block/file_bytes.h"

namespace stasis::devices {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using Kind = Qcow2Cluster::Kind;

// QEMU, docs/interop/qcow2.txt, "Cluster mapping".
constexpr std::uint64_t kCopied = std::uint64_t{1} << 63;  // refcount 1: may be written in place
constexpr std::uint64_t kCompressed = std::uint64_t{1} << 62;
constexpr std::uint64_t kZero = 1;

tl::unexpected<base::Error> corrupt(std::string_view what, std::uint64_t value) {
  return fail(ErrorKind::kCorrupt,
              fmt::format("{} {:#x}; repair it with: qemu-img check -r all FILE", what, value));
}

void decode_be(std::span<const std::byte> bytes, std::span<std::uint64_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = load_be(bytes, i * 8, 8);
}

MetadataWrite entries_write(std::uint64_t offset, std::span<const std::uint64_t> entries) {
  MetadataWrite write{offset, std::vector<std::byte>(entries.size() * 8)};
  for (std::size_t i = 0; i < entries.size(); ++i) store_be(write.bytes, i * 8, 8, entries[i]);
  return write;
}

}  // namespace

Qcow2File::Qcow2File(int fd, Qcow2Header header, std::uint64_t file_bytes)
    : fd_(fd),
      header_(std::move(header)),
      opened_bytes_(file_bytes),
      piece_entries_(std::min<std::uint64_t>(header_.l2_entries(), 512)),
      l1_(header_.l1_entries) {}

Result<std::unique_ptr<Qcow2File>> Qcow2File::open(int fd, Qcow2Header header,
                                                   std::uint64_t file_bytes) {
  std::unique_ptr<Qcow2File> file(new Qcow2File(fd, std::move(header), file_bytes));
  TRY(file->load_l1());
  return file;
}

Status Qcow2File::load_l1() {
  std::vector<std::byte> bytes(l1_.size() * 8);
  TRY(read_bytes(fd_, header_.l1_offset, bytes));
  decode_be(bytes, l1_);
  for (std::size_t i = 0; i < l1_.size(); ++i) {
    if ((l1_[i] & ~(kQcow2OffsetMask | kCopied)) != 0) return corrupt("an L1 entry is", l1_[i]);
    l1_[i] &= kQcow2OffsetMask;
    if (l1_[i] == 0) continue;
    if (i >= header_.l1_needed())
      return corrupt("past the end of the disk is an L2 table,", l1_[i]);
    if (l1_[i] % header_.cluster_size() != 0 || l1_[i] > opened_bytes_ ||
        header_.cluster_size() > opened_bytes_ - l1_[i]) {
      return corrupt("not inside the file is the L2 table at", l1_[i]);
    }
  }
  return {};
}

std::uint64_t Qcow2File::file_bytes() const {
  return refcounts_ ? refcounts_->file_bytes() : opened_bytes_;
}

Status Qcow2File::read_entries(std::uint32_t l1_index, std::uint64_t first,
                               std::span<std::uint64_t> out) const {
  if (const auto table = tables_.find(l1_index); table != tables_.end()) {
    const auto begin = table->second.entries.begin() + static_cast<std::ptrdiff_t>(first);
    std::copy_n(begin, out.size(), out.begin());
    return {};
  }
  std::fill(out.begin(), out.end(), 0);
  if (l1_[l1_index] == 0) return {};
  std::vector<std::byte> bytes(out.size() * 8);
  TRY(read_bytes(fd_, l1_[l1_index] + first * 8, bytes));
  decode_be(bytes, out);
  return {};
}

Result<Qcow2Cluster> Qcow2File::decode(std::uint64_t entry) const {
  if ((entry & kCompressed) != 0) {
    return fail(ErrorKind::kUnsupported,
                "has compressed clusters, which are not supported; convert it with: qemu-img "
                "convert -O qcow2 OLD NEW");
  }
  const std::uint64_t offset = entry & kQcow2OffsetMask;
  if ((entry & ~(kQcow2OffsetMask | kCopied | kZero)) != 0 || (entry == kCopied)) {
    return corrupt("an L2 entry is", entry);
  }
  if (offset % header_.cluster_size() != 0 || offset >= std::max<std::uint64_t>(file_bytes(), 1)) {
    return corrupt("not inside the file is the cluster at", offset);
  }
  if ((entry & kZero) != 0) return Qcow2Cluster{Kind::kZero, offset};
  return Qcow2Cluster{offset == 0 ? Kind::kMissing : Kind::kData, offset};
}

Status Qcow2File::read_clusters(std::uint64_t first, std::span<Qcow2Cluster> out) const {
  std::vector<std::uint64_t> entries;
  while (!out.empty()) {
    const std::uint64_t in_table = first % header_.l2_entries();
    const auto count = std::min<std::uint64_t>(out.size(), header_.l2_entries() - in_table);
    entries.resize(count);
    TRY(read_entries(static_cast<std::uint32_t>(first / header_.l2_entries()), in_table, entries));
    for (std::size_t i = 0; i < count; ++i) {
      if (entries[i] != 0) out[i] = TRY(decode(entries[i]));
    }
    first += count;
    out = out.subspan(count);
  }
  return {};
}

Status Qcow2File::check_clusters() const {
  std::unordered_set<std::uint64_t> seen;  // a table named often is read once
  std::vector<std::uint64_t> entries(header_.l2_entries());
  for (std::uint32_t i = 0; i < l1_.size(); ++i) {
    if (l1_[i] == 0 || !seen.insert(l1_[i]).second) continue;
    TRY(read_entries(i, 0, entries));
    for (const std::uint64_t entry : entries) TRY(decode(entry));
  }
  return {};
}

Status Qcow2File::reference_table(std::uint32_t l1_index, Qcow2Refcounts& refcounts) const {
  TRY(refcounts.reference(l1_[l1_index], header_.cluster_size(), "an L2 table"));
  std::vector<std::uint64_t> entries(header_.l2_entries());
  TRY(read_entries(l1_index, 0, entries));
  for (const std::uint64_t entry : entries) {
    const Qcow2Cluster cluster = TRY(decode(entry));
    if (cluster.offset == 0) continue;
    TRY(refcounts.reference(cluster.offset, header_.cluster_size(), "a cluster"));
  }
  return {};
}

Status Qcow2File::reference_all(Qcow2Refcounts& refcounts) const {
  TRY(refcounts.load());
  TRY(refcounts.reference(header_.l1_offset, l1_.size() * 8, "the L1 table"));
  for (std::uint32_t i = 0; i < l1_.size(); ++i) {
    if (l1_[i] != 0) TRY(reference_table(i, refcounts));
  }
  return refcounts.compare();
}

Status Qcow2File::make_writable() {
  if (header_.has_bitmaps) {
    return fail(ErrorKind::kUnsupported,
                "has dirty bitmaps, which writing would make wrong; remove them with: qemu-img "
                "bitmap --remove FILE NAME, or attach the disk read-only");
  }
  auto refcounts = std::make_unique<Qcow2Refcounts>(header_, fd_, opened_bytes_);
  TRY(reference_all(*refcounts));
  // Whole clusters, so that each can be written; the last one may be shorter until now.
  if (refcounts->file_bytes() != opened_bytes_ &&
      ::ftruncate(fd_, static_cast<off_t>(refcounts->file_bytes())) < 0) {
    return fail(base::errno_error("growing the file"));
  }
  refcounts_ = std::move(refcounts);
  TRY(clear_autoclear());
  TRY(commit_blocking());  // leaks
  // The file now, the disk's contents, and the tables that these need.
  const std::uint64_t now = file_bytes() >> header_.cluster_bits;
  TRY(refcounts_->reserve_table(now + header_.clusters() + header_.l1_needed(), header_));
  return commit_blocking();
}

Status Qcow2File::clear_autoclear() {
  if (header_.autoclear_features == 0) return {};
  TRY(write_all(fd_, {{kQcow2AutoclearField, std::vector<std::byte>(8)}}));
  header_.autoclear_features = 0;
  return sync_data(fd_);
}

Status Qcow2File::prepare(std::uint64_t cluster) {
  const auto l1_index = static_cast<std::uint32_t>(cluster / header_.l2_entries());
  if (tables_.contains(l1_index)) return {};
  Table table{std::vector<std::uint64_t>(header_.l2_entries()), {}, false};
  if (l1_[l1_index] != 0) {
    TRY(read_entries(l1_index, 0, table.entries));
    for (const std::uint64_t entry : table.entries) TRY(decode(entry));
  } else {
    const std::uint64_t offset = TRY(refcounts_->allocate());
    refcounts_->count(offset);
    l1_[l1_index] = offset;
    table.is_new = true;
    changed_tables_.insert(l1_index);
    changed_l1_.insert(static_cast<std::uint32_t>(l1_index / piece_entries_));
  }
  tables_.emplace(l1_index, std::move(table));
  return {};
}

Qcow2Cluster Qcow2File::cluster(std::uint64_t cluster) const {
  const auto l1_index = static_cast<std::uint32_t>(cluster / header_.l2_entries());
  const std::uint64_t entry = tables_.at(l1_index).entries[cluster % header_.l2_entries()];
  return decode(entry).value_or(Qcow2Cluster{});  // checked when the table was loaded
}

void Qcow2File::set_entry(std::uint64_t cluster, std::uint64_t entry) {
  const auto l1_index = static_cast<std::uint32_t>(cluster / header_.l2_entries());
  const std::uint64_t index = cluster % header_.l2_entries();
  Table& table = tables_.at(l1_index);
  table.entries[index] = entry;
  table.changed.insert(static_cast<std::uint32_t>(index / piece_entries_));
  changed_tables_.insert(l1_index);
}

void Qcow2File::set_data(std::uint64_t cluster_index, std::uint64_t offset) {
  const bool is_new = cluster(cluster_index).offset != offset;
  if (is_new) refcounts_->count(offset);
  set_entry(cluster_index, offset | kCopied);
}

void Qcow2File::set_zero(std::uint64_t cluster_index) {
  const std::uint64_t offset = cluster(cluster_index).offset;
  set_entry(cluster_index, kZero | (offset == 0 ? 0 : offset | kCopied));
}

bool Qcow2File::has_changes() const {
  return refcounts_ &&
         (refcounts_->has_changes() || !changed_tables_.empty() || !changed_l1_.empty());
}

MetadataWrite Qcow2File::l1_write(std::uint32_t piece) const {
  const std::uint64_t first = piece * piece_entries_;
  const std::uint64_t count = std::min(piece_entries_, l1_.size() - first);
  std::vector<std::uint64_t> entries(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t offset = l1_[first + i];
    entries[i] = offset == 0 ? 0 : offset | kCopied;
  }
  return entries_write(header_.l1_offset + first * 8, entries);
}

void Qcow2File::take_table(std::uint32_t l1_index, Commit& commit) {
  Table& table = tables_.at(l1_index);
  if (table.is_new) {
    commit.stages[0].push_back(entries_write(l1_[l1_index], table.entries));
    commit.new_tables_.insert(l1_index);
    table.is_new = false;
  } else {
    for (const std::uint32_t piece : table.changed) {
      const std::uint64_t first = piece * piece_entries_;
      const auto entries = std::span(table.entries).subspan(first, piece_entries_);
      commit.stages[2].push_back(entries_write(l1_[l1_index] + first * 8, entries));
    }
    commit.l2_pieces_[l1_index] = table.changed;
  }
  table.changed.clear();
}

Qcow2File::Commit Qcow2File::take_changes() {
  Commit commit;
  commit.refcounts_ = refcounts_->take_changes();
  commit.stages[0] = refcounts_->block_writes(commit.refcounts_);
  commit.stages[1] = refcounts_->table_writes(commit.refcounts_);
  for (const std::uint32_t l1_index : std::exchange(changed_tables_, {})) {
    take_table(l1_index, commit);
  }
  commit.l1_pieces_ = std::exchange(changed_l1_, {});
  for (const std::uint32_t piece : commit.l1_pieces_) commit.stages[2].push_back(l1_write(piece));
  return commit;
}

void Qcow2File::put_back(Commit commit) {
  refcounts_->put_back(std::move(commit.refcounts_));
  for (const std::uint32_t l1_index : commit.new_tables_) {
    tables_.at(l1_index).is_new = true;
    changed_tables_.insert(l1_index);
  }
  for (auto& [l1_index, pieces] : commit.l2_pieces_) {
    tables_.at(l1_index).changed.merge(pieces);
    changed_tables_.insert(l1_index);
  }
  changed_l1_.merge(commit.l1_pieces_);
}

Status Qcow2File::commit_blocking() {
  if (!has_changes()) return {};
  Commit commit = take_changes();
  for (std::size_t i = 0; i < commit.stages.size(); ++i) {
    if (!commit.has_stage(i)) continue;
    Status status = write_all(fd_, commit.stages[i]);
    if (status) status = sync_data(fd_);
    if (status) continue;
    put_back(std::move(commit));
    return status;
  }
  return {};
}

std::uint64_t Qcow2File::freeze() {
  if (refcounts_) opened_bytes_ = std::min(refcounts_->used_bytes(), refcounts_->file_bytes());
  refcounts_.reset();
  tables_.clear();
  return opened_bytes_;
}

}  // namespace stasis::devices
