#pragma once

#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "devices/block/qcow2_header.h"

namespace stasis::devices {

/// One change of a file's tables.
struct MetadataWrite {
  std::uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

/// Which clusters of a qcow2 file are in use, and the refcounts on disk that say so.
///
/// The references are the truth: opening counts them all, one each, and refuses a cluster that is
/// referenced twice or whose refcount is too small; a refcount that is too large is a leak, which
/// is corrected. So no table of the file is trusted, and what is written can only hit clusters that
/// nothing else uses.
///
/// A cluster that was allocated is reserved in memory; it counts on disk once `count` said that
/// something refers to it.
/// Threads: one at a time.
class Qcow2Refcounts {
 public:
  /// For the file `fd` with `file_bytes`; call `load`, `reference` for all there is, `compare`.
  Qcow2Refcounts(const Qcow2Header& header, int fd, std::uint64_t file_bytes);

  /// Reads the refcount table and refers to header, table and blocks. `header` is grown by
  /// `reserve_table` later.
  base::Status load();

  /// Something refers to `bytes` from `offset` on. kCorrupt: not inside the file, or not the first.
  base::Status reference(std::uint64_t offset, std::uint64_t bytes, std::string_view what);

  /// Compares with the refcounts on disk. kCorrupt: one is too small.
  base::Status compare();

  /// Makes the table large enough for `clusters` of the file, durably; true when it moved.
  base::Result<bool> reserve_table(std::uint64_t clusters, Qcow2Header& header);

  /// The offset of a cluster that nothing uses; the file is as long as it needs to be.
  base::Result<std::uint64_t> allocate();
  void release(std::uint64_t offset, bool was_written);  ///< of `allocate`, not counted
  void count(std::uint64_t offset) { set_counted(offset >> cluster_bits_, true); }

  /// Never used since the file was opened or grown: reads as zeroes.
  bool is_fresh(std::uint64_t offset) const { return (offset >> cluster_bits_) >= fresh_from_; }

  std::uint64_t file_bytes() const { return file_clusters_ << cluster_bits_; }
  std::uint64_t used_bytes() const;  ///< up to the end of the last cluster in use

  /// Parts of refcounts and of their table that differ from the disk.
  struct Changes {
    std::set<std::uint64_t> pieces;
    std::set<std::uint64_t> table_pieces;
  };
  bool has_changes() const { return !changes_.pieces.empty() || !changes_.table_pieces.empty(); }
  Changes take_changes();
  void put_back(Changes changes);
  std::vector<MetadataWrite> block_writes(const Changes& changes) const;
  std::vector<MetadataWrite> table_writes(const Changes& changes) const;

 private:
  std::uint64_t refcount_on_disk(std::span<const std::byte> block, std::uint64_t index) const;
  void set_counted(std::uint64_t cluster, bool is_counted);
  void mark(std::vector<bool>& bits, std::uint64_t cluster) const;
  bool is_set(const std::vector<bool>& bits, std::uint64_t cluster) const {
    return cluster < bits.size() && bits[cluster];
  }
  base::Status compare_block(std::uint64_t block);
  base::Status compare_cluster(std::uint64_t cluster, std::uint64_t refcount);
  base::Status grow_file(std::uint64_t clusters);
  base::Status move_table(std::uint64_t table_clusters, Qcow2Header& header);
  std::vector<std::byte> piece_bytes(std::uint64_t piece) const;

  const int fd_;
  const unsigned cluster_bits_;
  const unsigned order_;
  const std::uint64_t per_block_;
  const std::uint64_t piece_size_;
  std::uint64_t table_offset_;
  std::vector<std::uint64_t> table_;  // offset of each block; 0: none
  std::vector<bool> reserved_;        // by cluster: must not be allocated
  std::vector<bool> counted_;         // by cluster: has the refcount 1
  std::uint64_t file_clusters_;
  std::uint64_t fresh_from_;
  std::uint64_t cursor_ = 1;
  Changes changes_;
};

}  // namespace stasis::devices
