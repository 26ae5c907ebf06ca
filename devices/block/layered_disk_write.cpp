#include <algorithm>
#include <array>
#include <utility>

#include "devices/block/layered_disk.h"
#include "devices/block/layered_disk_parts.h"
#include "devices/block/zeroes.h"

// How the top layer changes. Clusters that it lacks are written whole, with what lies around the
// new data copied from below; only then the table in memory says that they are there. Meanwhile
// they are busy: other changes of them wait. A cluster that was given back keeps its place in the
// file, so no late write can hit what somebody else uses by now.
namespace stasis::devices {
namespace {

using base::Result;
using base::Status;
using Kind = Qcow2Cluster::Kind;
using Place = ClusterIndex::Place;

constexpr std::uint64_t kMaxRunBytes = 4 << 20;  // of new clusters in one write

std::vector<iovec> zero_buffers(std::uint64_t size) {
  std::vector<iovec> buffers;
  while (size > 0) {
    const auto part = std::min<std::uint64_t>(size, kZeroes.size());
    // A write only reads its buffers, whatever the type of iov_base says.
    buffers.push_back({const_cast<std::byte*>(kZeroes.data()), part});
    size -= part;
  }
  return buffers;
}

}  // namespace

struct LayeredDisk::Allocation {
  JobPtr job;
  std::uint64_t offset = 0;  // of the data on the disk
  Buffers buffers;           // the data
  std::uint64_t first = 0;   // the first cluster
  std::uint64_t count = 0;   // clusters, together on the disk and in the file
  std::uint64_t place = 0;   // in the file
  std::vector<bool> is_new;  // by cluster: allocated for this
  bool first_is_fresh = false;
  bool last_is_fresh = false;
  std::vector<std::byte> before;  // what is in the first cluster before the data
  std::vector<std::byte> after;
};

struct LayeredDisk::Punch {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  std::uint64_t place = 0;
};

void LayeredDisk::write(const JobPtr& job, std::uint64_t offset, const Buffers& buffers) {
  const std::uint64_t start = offset;
  const std::uint64_t end = offset + total_of(buffers);
  while (offset < end) {
    auto extent = extent_at(offset, end);
    if (!extent) return fail_part(job, extent.error());
    Buffers rest = slice_of(buffers, offset - start, end - offset);
    if (extent->layer == &top()) {
      submit_part(job, *extent, BlockOperation::kWrite, slice_of(rest, 0, extent->size));
      offset += extent->size;
    } else {
      offset += write_new(job, offset, rest);
    }
  }
}

/// Writes the first of `buffers` to clusters that the top does not have. Returns how many bytes.
std::uint64_t LayeredDisk::write_new(const JobPtr& job, std::uint64_t offset,
                                     const Buffers& buffers) {
  const std::uint64_t cluster = offset / cluster_size();
  const std::uint64_t total = total_of(buffers);
  if (is_busy(cluster)) {
    const std::uint64_t size = std::min(total, (cluster + 1) * cluster_size() - offset);
    wait_for(cluster, job,
             [this, job, offset, part = slice_of(buffers, 0, size)] { write(job, offset, part); });
    return size;
  }
  auto work = std::make_shared<Allocation>();
  work->offset = offset;
  work->first = cluster;
  const Status gathered = gather(*work, offset + total);
  if (work->count == 0) {
    fail_part(job, gathered.error());
    return total;
  }
  const std::uint64_t end = std::min(offset + total, (work->first + work->count) * cluster_size());
  work->job = job;
  ++job->parts;
  work->buffers = slice_of(buffers, 0, end - offset);
  const JobPtr reading = make_job([this, work](int error) {
    if (error != 0) return end_allocation(work, error);
    write_allocated(work);
  });
  const Status around = read_around(work, reading);
  if (!around) fail_part(reading, around.error());
  // Ends here when there was nothing to read.
  end_part(reading, 0);
  return end - offset;
}

/// Takes as many clusters as lie together in the file. An error matters when there is none.
Status LayeredDisk::gather(Allocation& work, std::uint64_t end) {
  const std::uint64_t limit = std::max<std::uint64_t>(kMaxRunBytes / cluster_size(), 1);
  while (work.count < limit) {
    const std::uint64_t cluster = work.first + work.count;
    if (cluster * cluster_size() >= end) return {};
    if (!TRY(gather_one(work, cluster))) return {};
    busy_[cluster];
    ++work.count;
  }
  return {};
}

Result<bool> LayeredDisk::gather_one(Allocation& work, std::uint64_t cluster) {
  Qcow2File& file = *top().qcow2;
  if (is_busy(cluster)) return false;
  // Also loads the index, so that it can be changed when all is written.
  const std::uint64_t start = cluster * cluster_size();
  for (std::uint64_t at = start; at < std::min(start + cluster_size(), info_.size_bytes);) {
    at += TRY(granule_at(at, start + cluster_size())).size;
  }
  TRY(file.prepare(cluster));
  const Qcow2Cluster present = file.cluster(cluster);
  if (present.kind == Kind::kData) return false;
  const bool is_new = present.offset == 0;
  const std::uint64_t place = is_new ? TRY(file.refcounts().allocate()) : present.offset;
  if (work.count > 0 && place != work.place + work.count * cluster_size()) {
    if (is_new) file.refcounts().release(place, false);
    return false;
  }
  if (work.count == 0) work.place = place;
  work.last_is_fresh = is_new && file.refcounts().is_fresh(place);
  if (work.count == 0) work.first_is_fresh = work.last_is_fresh;
  work.is_new.push_back(is_new);
  return true;
}

Result<bool> LayeredDisk::is_zero(std::uint64_t offset, std::uint64_t end) {
  while (offset < end) {
    const Extent extent = TRY(granule_at(offset, end));
    if (extent.layer != nullptr) return false;
    offset += extent.size;
  }
  return true;
}

/// Reads what is around the data in its first and last cluster, unless the file has it already.
Status LayeredDisk::read_around(const std::shared_ptr<Allocation>& work, const JobPtr& reading) {
  const std::uint64_t start = work->first * cluster_size();
  const std::uint64_t data_end = work->offset + total_of(work->buffers);
  const std::uint64_t end = start + work->count * cluster_size();
  const std::uint64_t disk_end = std::min(end, info_.size_bytes);
  if (!work->first_is_fresh || !TRY(is_zero(start, work->offset))) {
    work->before.resize(work->offset - start);
    read(reading, start, {{work->before.data(), work->before.size()}});
  }
  if (!work->last_is_fresh || !TRY(is_zero(data_end, disk_end))) {
    work->after.resize(end - data_end);  // zeroes, for what is behind the disk's end
    if (disk_end > data_end) read(reading, data_end, {{work->after.data(), disk_end - data_end}});
  }
  return {};
}

void LayeredDisk::write_allocated(const std::shared_ptr<Allocation>& work) {
  const std::uint64_t inside = work->offset - work->first * cluster_size();
  BlockRequest request;
  request.operation = BlockOperation::kWrite;
  request.offset = work->place + inside - work->before.size();
  if (!work->before.empty()) request.buffers.push_back({work->before.data(), work->before.size()});
  request.buffers.insert(request.buffers.end(), work->buffers.begin(), work->buffers.end());
  if (!work->after.empty()) request.buffers.push_back({work->after.data(), work->after.size()});
  request.size = total_of(request.buffers);
  request.done = [this, work](int error) { end_allocation(work, error); };
  io_->submit(top().target(), std::move(request));
}

void LayeredDisk::end_allocation(const std::shared_ptr<Allocation>& work, int error) {
  Qcow2File& file = *top().qcow2;
  const auto layer = static_cast<std::uint32_t>(open_.size() - 1);
  for (std::uint64_t i = 0; i < work->count; ++i) {
    const std::uint64_t place = work->place + i * cluster_size();
    if (error == 0) {
      file.set_data(work->first + i, place);
      index_.set((work->first + i) * cluster_size(), cluster_size(), {layer, place});
    } else if (work->is_new[i]) {
      file.refcounts().release(place, true);
    }
  }
  unlock(work->first, work->count);
  end_part(work->job, error);
}

void LayeredDisk::wait_for(std::uint64_t cluster, const JobPtr& job, std::function<void()> work) {
  ++job->parts;
  busy_.at(cluster).push_back([this, job, work = std::move(work)] {
    work();
    end_part(job, 0);
  });
}

void LayeredDisk::unlock(std::uint64_t first, std::uint64_t count) {
  std::vector<std::function<void()>> waiting;
  for (std::uint64_t i = first; i < first + count; ++i) {
    auto node = busy_.extract(i);
    std::move(node.mapped().begin(), node.mapped().end(), std::back_inserter(waiting));
  }
  for (const auto& work : waiting) work();
}

/// Discard and write-zeroes, `how` says which.
void LayeredDisk::zero(const JobPtr& job, std::uint64_t offset, std::uint64_t end,
                       const BlockRequest& how) {
  const bool is_discard = how.operation == BlockOperation::kDiscard;
  const bool may_unmap = is_discard || how.may_unmap;
  Punch punch;
  while (offset < end) {
    const std::uint64_t cluster = offset / cluster_size();
    const std::uint64_t start = cluster * cluster_size();
    const std::uint64_t cluster_end = std::min(start + cluster_size(), info_.size_bytes);
    const std::uint64_t part_end = std::min(end, cluster_end);
    const bool is_whole = offset == start && part_end == cluster_end;
    if (is_busy(cluster) && (is_whole || !is_discard)) {
      BlockRequest again;
      again.operation = how.operation;
      again.may_unmap = how.may_unmap;
      wait_for(cluster, job, [this, job, offset, part_end, again = std::move(again)] {
        zero(job, offset, part_end, again);
      });
    } else if (is_whole) {
      const Status zeroed = zero_cluster(job, cluster, may_unmap, punch);
      if (!zeroed) fail_part(job, zeroed.error());
    } else if (!is_discard) {
      zero_part(job, offset, part_end, may_unmap);
    }
    offset = part_end;
  }
  end_punch(job, punch);
}

/// A part of one cluster.
void LayeredDisk::zero_part(const JobPtr& job, std::uint64_t offset, std::uint64_t end,
                            bool may_unmap) {
  const auto is_zero_already = is_zero(offset, end);
  if (!is_zero_already) return fail_part(job, is_zero_already.error());
  if (*is_zero_already) return;
  const auto extent = extent_at(offset, end);
  if (!extent) return fail_part(job, extent.error());
  if (extent->layer != &top()) return write(job, offset, zero_buffers(end - offset));
  submit_part(job, *extent, BlockOperation::kWriteZeroes, {}, may_unmap);
}

/// A whole cluster: the table says so, and the space is given back.
Status LayeredDisk::zero_cluster(const JobPtr& job, std::uint64_t cluster, bool may_unmap,
                                 Punch& punch) {
  const std::uint64_t start = cluster * cluster_size();
  if (TRY(is_zero(start, std::min(start + cluster_size(), info_.size_bytes)))) return {};
  Qcow2File& file = *top().qcow2;
  TRY(file.prepare(cluster));
  const std::uint64_t place = file.cluster(cluster).offset;
  file.set_zero(cluster);
  index_.set(start, cluster_size(), {});
  if (place == 0 || !may_unmap) return {};
  const bool follows = punch.count > 0 && cluster == punch.first + punch.count &&
                       place == punch.place + punch.count * cluster_size();
  if (!follows) {
    end_punch(job, punch);
    punch = {cluster, 0, place};
  }
  busy_[cluster];  // until the host is done, or a new write might be punched away
  ++punch.count;
  return {};
}

void LayeredDisk::end_punch(const JobPtr& job, Punch& punch) {
  if (punch.count == 0) return;
  BlockRequest request;
  request.operation = BlockOperation::kDiscard;
  request.offset = punch.place;
  request.size = punch.count * cluster_size();
  // A host that does not take the space back changes nothing: the table says zeroes.
  request.done = [this, job, punch](int) {
    unlock(punch.first, punch.count);
    end_part(job, 0);
  };
  ++job->parts;
  io_->submit(top().target(), std::move(request));
  punch.count = 0;
}

}  // namespace stasis::devices
