#include "devices/block/cluster_index.h"

#include <algorithm>

namespace stasis::devices {
namespace {

using base::Result;
using base::Status;
using Kind = Qcow2Cluster::Kind;

// An entry: the layer plus one, then the offset in sectors; nothing but zeroes: no data.
constexpr unsigned kLayerShift = 48;
constexpr std::uint64_t kOffsetMask = (std::uint64_t{1} << kLayerShift) - 1;
constexpr std::uint64_t kUnknown = ~std::uint64_t{0};

std::uint64_t encode(ClusterIndex::Place place) {
  if (place.layer == ClusterIndex::Place::kNone) return 0;
  return (std::uint64_t{place.layer} + 1) << kLayerShift | place.offset / kSectorSize;
}

ClusterIndex::Place decode(std::uint64_t entry) {
  if (entry == 0) return {};
  return {static_cast<std::uint32_t>((entry >> kLayerShift) - 1),
          (entry & kOffsetMask) * kSectorSize};
}

}  // namespace

Result<ClusterIndex::Place> ClusterIndex::find(std::uint64_t offset, Layers layers) {
  const std::uint64_t granule = offset >> granule_bits_;
  const Slice& slice = *TRY(slice_of(granule, layers));
  return decode(slice[granule % kSliceEntries]);
}

void ClusterIndex::set(std::uint64_t offset, std::uint64_t size, Place place) {
  const std::uint64_t step = std::uint64_t{1} << granule_bits_;
  for (std::uint64_t done = 0; done < size && offset + done < size_bytes_; done += step) {
    const std::uint64_t granule = (offset + done) >> granule_bits_;
    const auto slice = slices_.find(granule / kSliceEntries);
    if (slice != slices_.end()) (*slice->second)[granule % kSliceEntries] = encode(place);
    place.offset += step;
  }
}

Result<ClusterIndex::Slice*> ClusterIndex::slice_of(std::uint64_t granule, Layers layers) {
  const std::uint64_t number = granule / kSliceEntries;
  if (const auto found = slices_.find(number); found != slices_.end()) return found->second.get();
  auto slice = std::make_unique<Slice>();
  TRY(load(number * kSliceEntries, *slice, layers));
  return slices_.emplace(number, std::move(slice)).first->second.get();
}

/// From the top down: the first layer that knows a granule decides.
Status ClusterIndex::load(std::uint64_t first, Slice& slice, Layers layers) const {
  slice.fill(kUnknown);
  for (std::size_t i = layers.size(); i-- > 0;) {
    const DiskLayer& layer = *layers[i];
    // Behind the end of a layer there are zeroes, whatever lies below.
    for (std::uint64_t j = 0; j < kSliceEntries; ++j) {
      if (((first + j) << granule_bits_) >= layer.visible_bytes && slice[j] == kUnknown) {
        slice[j] = 0;
      }
    }
    const auto number = static_cast<std::uint32_t>(i);
    if (layer.qcow2) {
      TRY(fill_qcow2(first, slice, layer, number));
    } else {
      fill_raw(first, slice, layer, number);
    }
    if (std::find(slice.begin(), slice.end(), kUnknown) == slice.end()) return {};
  }
  std::replace(slice.begin(), slice.end(), kUnknown, std::uint64_t{0});
  return {};
}

void ClusterIndex::fill_raw(std::uint64_t first, Slice& slice, const DiskLayer&,
                            std::uint32_t number) const {
  for (std::uint64_t i = 0; i < kSliceEntries; ++i) {
    if (slice[i] == kUnknown) slice[i] = encode({number, (first + i) << granule_bits_});
  }
}

Status ClusterIndex::fill_qcow2(std::uint64_t first, Slice& slice, const DiskLayer& layer,
                                std::uint32_t number) const {
  const Qcow2Header& header = layer.qcow2->header();
  const unsigned shift = header.cluster_bits - granule_bits_;  // clusters are no smaller
  const std::uint64_t first_cluster = first >> shift;
  if (first_cluster >= header.clusters()) return {};
  const std::uint64_t end = ((first + kSliceEntries - 1) >> shift) + 1;
  std::vector<Qcow2Cluster> clusters(std::min(end, header.clusters()) - first_cluster);
  TRY(layer.qcow2->read_clusters(first_cluster, clusters));
  for (std::uint64_t i = 0; i < kSliceEntries; ++i) {
    const std::uint64_t index = ((first + i) >> shift) - first_cluster;
    if (index >= clusters.size()) break;
    const Qcow2Cluster& cluster = clusters[index];
    if (slice[i] != kUnknown || cluster.kind == Kind::kMissing) continue;
    const std::uint64_t inside = ((first + i) & ((std::uint64_t{1} << shift) - 1)) << granule_bits_;
    slice[i] = cluster.kind == Kind::kZero ? 0 : encode({number, cluster.offset + inside});
  }
  return {};
}

}  // namespace stasis::devices
