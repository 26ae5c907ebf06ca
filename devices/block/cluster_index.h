#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "devices/block/disk_layer.h"

namespace stasis::devices {

/// Which file has each part of a disk: all layers flattened into one table, so that a read costs
/// the same however deep the chain is. A slice of the table is made when it is first asked for, and
/// kept: 8 bytes for each granule, which is as large as the smallest cluster of the layers.
/// Threads: one at a time.
class ClusterIndex {
 public:
  using Layers = std::span<const std::unique_ptr<DiskLayer>>;  // base first

  struct Place {
    static constexpr std::uint32_t kNone = ~0U;  ///< reads as zeroes
    std::uint32_t layer = kNone;
    std::uint64_t offset = 0;  ///< in that layer's file
  };

  ClusterIndex(unsigned granule_bits, std::uint64_t size_bytes)
      : granule_bits_(granule_bits), size_bytes_(size_bytes) {}

  unsigned granule_bits() const { return granule_bits_; }

  /// Where the granule at the disk's `offset` begins; loads the slice if needed, blocking.
  base::Result<Place> find(std::uint64_t offset, Layers layers);

  /// `size` bytes from `offset` on (whole granules, the last one excepted) are at `place` now. The
  /// slices have been loaded, by `find`.
  void set(std::uint64_t offset, std::uint64_t size, Place place);

 private:
  static constexpr std::uint64_t kSliceEntries = 1024;
  using Slice = std::array<std::uint64_t, kSliceEntries>;

  base::Result<Slice*> slice_of(std::uint64_t granule, Layers layers);
  base::Status load(std::uint64_t first, Slice& slice, Layers layers) const;
  void fill_raw(std::uint64_t first, Slice& slice, const DiskLayer& layer,
                std::uint32_t number) const;
  base::Status fill_qcow2(std::uint64_t first, Slice& slice, const DiskLayer& layer,
                          std::uint32_t number) const;

  const unsigned granule_bits_;
  const std::uint64_t size_bytes_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Slice>> slices_;
};

}  // namespace stasis::devices
