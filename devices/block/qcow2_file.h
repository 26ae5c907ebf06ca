#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "base/result.h"
#include "devices/block/qcow2_header.h"
#include "devices/block/qcow2_refcounts.h"

namespace stasis::devices {

/// What a qcow2 file has for one cluster of the disk.
struct Qcow2Cluster {
  enum class Kind : std::uint8_t { kMissing, kZero, kData };
  Kind kind = Kind::kMissing;
  std::uint64_t offset = 0;  ///< in the file; kZero may have one, kData always has
};

/// The tables of one open qcow2 file: where each cluster of the disk is. Contents are the caller's
/// to read and write.
///
/// Changes are made in memory, after what they refer to was written, and go to the file in stages:
/// first refcounts and new L2 tables, then what refers to them. So a file whose process was killed,
/// or whose host lost power, at worst has clusters that count as used and are not; `make_writable`
/// frees those.
/// Threads: one at a time.
class Qcow2File {
 public:
  /// Reads the L1 table of the file `fd`, whose descriptor stays the caller's.
  static base::Result<std::unique_ptr<Qcow2File>> open(int fd, Qcow2Header header,
                                                       std::uint64_t file_bytes);

  const Qcow2Header& header() const { return header_; }

  /// The clusters from `first` on. Blocks on reads of the file. kCorrupt, kUnsupported
  /// (compressed).
  base::Status read_clusters(std::uint64_t first, std::span<Qcow2Cluster> out) const;

  /// Reads all L2 tables: finds compressed clusters and offsets outside the file.
  base::Status check_clusters() const;

  /// Counts all references, corrects leaks on disk, clears what only whoever does not know this
  /// file's features may leave. Once, before the rest below. Blocks.
  base::Status make_writable();
  bool is_writable() const { return refcounts_ != nullptr; }

  /// Loads or creates what `cluster`, `set_data` and `set_zero` need. May block, may fail.
  base::Status prepare(std::uint64_t cluster);
  Qcow2Cluster cluster(std::uint64_t cluster) const;
  void set_data(std::uint64_t cluster, std::uint64_t offset);
  void set_zero(std::uint64_t cluster);  ///< keeps its place in the file, if it has one

  Qcow2Refcounts& refcounts() { return *refcounts_; }

  /// Changes to be written: each stage on stable storage before the next begins.
  struct Commit {
    std::array<std::vector<MetadataWrite>, 3> stages;

    /// The first is never left out: contents, too, are on stable storage before what refers to
    /// them.
    bool has_stage(std::size_t index) const { return index == 0 || !stages[index].empty(); }

   private:
    friend class Qcow2File;
    Qcow2Refcounts::Changes refcounts_;
    std::map<std::uint32_t, std::set<std::uint32_t>> l2_pieces_;
    std::set<std::uint32_t> new_tables_;
    std::set<std::uint32_t> l1_pieces_;
  };
  bool has_changes() const;
  Commit take_changes();           ///< all so far
  void put_back(Commit commit);    ///< it failed
  base::Status commit_blocking();  ///< all stages, in this thread

  /// Nothing will be changed any more: forgets what only changes need. Returns the size that the
  /// file needs; what lies behind means nothing. Needs: no changes left.
  std::uint64_t freeze();

 private:
  struct Table {
    std::vector<std::uint64_t> entries;  // as in the file
    std::set<std::uint32_t> changed;     // pieces
    bool is_new = false;                 // not in the file yet
  };

  Qcow2File(int fd, Qcow2Header header, std::uint64_t file_bytes);
  base::Status load_l1();
  base::Status read_entries(std::uint32_t l1_index, std::uint64_t first,
                            std::span<std::uint64_t> out) const;
  base::Result<Qcow2Cluster> decode(std::uint64_t entry) const;
  base::Status reference_table(std::uint32_t l1_index, Qcow2Refcounts& refcounts) const;
  base::Status reference_all(Qcow2Refcounts& refcounts) const;
  base::Status clear_autoclear();
  void set_entry(std::uint64_t cluster, std::uint64_t entry);
  void take_table(std::uint32_t l1_index, Commit& commit);
  MetadataWrite l1_write(std::uint32_t piece) const;
  std::uint64_t file_bytes() const;

  const int fd_;
  Qcow2Header header_;
  std::uint64_t opened_bytes_;  // size of the file when it was opened or frozen
  const std::uint64_t piece_entries_;
  std::vector<std::uint64_t> l1_;  // offsets of L2 tables; 0: none
  std::map<std::uint32_t, Table> tables_;
  std::set<std::uint32_t> changed_tables_;
  std::set<std::uint32_t> changed_l1_;
  std::unique_ptr<Qcow2Refcounts> refcounts_;
};

}  // namespace stasis::devices
