#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "devices/block/block_image.h"
#include "devices/block/cluster_index.h"
#include "devices/block/disk_layer.h"
#include "devices/block/file_io.h"
#include "devices/block/image_layer.h"
#include "devices/block/overlay.h"

namespace stasis::devices {

/// A disk out of one or more files: a base (raw or qcow2) and overlays (qcow2 version 3) over it,
/// of which only the last, the top, is ever written. What a layer lacks is read from the one below;
/// past the end of a smaller layer there are zeroes.
///
/// A switch puts a new overlay on top and makes the former top immutable, at one instant:
///   prepare_overlay   before, any thread: everything that takes time
///   switch_to         while the loop is parked and no request is in flight: a few assignments
///   seal_frozen       after the loop was resumed: the former top becomes durable
class LayeredDisk final : public BlockImage {
 public:
  struct Options {
    bool read_only = false;
    FileIo::Engine engine = FileIo::Engine::kAuto;
  };

  /// Opens and locks all of `layers`, base first: the top against every other opener, unless
  /// `read_only`; the others against writers. Names of backing files inside the files are only
  /// compared with this list. Leaks that a killed process left in the top are repaired.
  /// `loop` must outlive the disk; called from any thread. Every error names the path, the reason
  /// and the remedy.
  static base::Result<std::unique_ptr<LayeredDisk>> open(std::vector<ImageLayer> layers,
                                                         Options options, EventLoop& loop);

  /// Waits for the host to finish what is in flight; `done` of that is not called any more. What is
  /// only in memory of the top is written. Not to be called on another thread than the loop's while
  /// that one uses the disk.
  ~LayeredDisk() override;

  /// An overlay `path` for this disk, which must not exist yet: created (0600), durable, open.
  /// Threads: the controlling one; requests may go on.
  base::Result<PreparedOverlay> prepare_overlay(const std::string& path) const;

  /// Makes `overlay`, which this disk prepared since its last switch, the top. No system call,
  /// cannot fail. Threads: the controlling one, with the loop parked and nothing in flight.
  void switch_to(PreparedOverlay overlay);

  /// Writes what is left in memory of the layers that switches froze, makes them durable, and lets
  /// others read them (shared lock). On an error the disk goes on; call it again, or take what was
  /// frozen as not durable. A flush of the guest does the same before it touches the new top, so
  /// what it promises holds in any order. Threads: the controlling one; requests may go on.
  base::Status seal_frozen();

  /// The present layers, base first. Threads: the controlling one.
  const std::vector<ImageLayer>& layers() const { return layers_; }

  std::string_view name() const override { return name_; }
  const BlockImageInfo& info() const override { return info_; }
  void submit(BlockRequest request) override;
  void kick() override { io_->kick(); }
  bool drain(std::chrono::steady_clock::time_point deadline) override {
    return io_->drain(deadline);
  }
  void set_group_listener(std::function<void()> listener) override {
    io_->set_group_listener(std::move(listener));
  }
  std::string_view engine_name() const { return io_->engine_name(); }

 private:
  using Buffers = std::vector<iovec>;
  struct Job;  // a request, or a part of the disk's own work, until all of its parts have ended
  using JobPtr = std::shared_ptr<Job>;
  struct Allocation;  // a write to clusters that the top does not have yet
  struct Punch;       // clusters whose space goes back to the host
  struct FlushRun;    // metadata of frozen layers and the top on its way to the files
  struct Sealing;
  /// Bytes of the disk that lie together in one file, or nowhere.
  struct Extent {
    const DiskLayer* layer = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  LayeredDisk(std::vector<std::unique_ptr<DiskLayer>> open, bool read_only,
              std::unique_ptr<FileIo> io, EventLoop& loop);

  // layered_disk.cpp
  DiskLayer& top() { return *open_.back(); }
  bool is_raw_file() const { return open_.size() == 1 && !open_.back()->qcow2; }
  JobPtr make_job(std::function<void(int)> done) const;
  std::function<void(int)> part_of(const JobPtr& job);
  void end_part(const JobPtr& job, int error);
  void start(const JobPtr& job, BlockRequest& request);
  base::Result<Extent> extent_at(std::uint64_t offset, std::uint64_t end);
  base::Result<Extent> granule_at(std::uint64_t offset, std::uint64_t end);
  void fail_part(const JobPtr& job, const base::Error& error) const;
  void submit_part(const JobPtr& job, const Extent& extent, BlockOperation operation,
                   Buffers buffers, bool may_unmap = false);
  void read(const JobPtr& job, std::uint64_t offset, const Buffers& buffers);
  base::Status close_top();

  // layered_disk_write.cpp
  void write(const JobPtr& job, std::uint64_t offset, const Buffers& buffers);
  std::uint64_t write_new(const JobPtr& job, std::uint64_t offset, const Buffers& buffers);
  base::Status gather(Allocation& work, std::uint64_t end);
  base::Result<bool> gather_one(Allocation& work, std::uint64_t cluster);
  base::Result<bool> is_zero(std::uint64_t offset, std::uint64_t end);
  base::Status read_around(const std::shared_ptr<Allocation>& work, const JobPtr& reading);
  void write_allocated(const std::shared_ptr<Allocation>& work);
  void end_allocation(const std::shared_ptr<Allocation>& work, int error);
  void zero(const JobPtr& job, std::uint64_t offset, std::uint64_t end, const BlockRequest& how);
  void zero_part(const JobPtr& job, std::uint64_t offset, std::uint64_t end, bool may_unmap);
  base::Status zero_cluster(const JobPtr& job, std::uint64_t cluster, bool may_unmap, Punch& punch);
  void end_punch(const JobPtr& job, Punch& punch);
  bool is_busy(std::uint64_t cluster) const { return busy_.contains(cluster); }
  void wait_for(std::uint64_t cluster, const JobPtr& job, std::function<void()> work);
  void unlock(std::uint64_t first, std::uint64_t count);
  std::uint64_t cluster_size() const { return open_.back()->qcow2->header().cluster_size(); }

  // layered_disk_flush.cpp
  void flush(const JobPtr& job, bool only_frozen);
  void start_flush();
  void flush_layer(const std::shared_ptr<FlushRun>& run);
  void write_stage(const std::shared_ptr<FlushRun>& run);
  void sync_stage(const std::shared_ptr<FlushRun>& run, int error);
  void end_layer(const std::shared_ptr<FlushRun>& run, int error);
  void end_flush(const std::shared_ptr<FlushRun>& run);
  base::Status wait_until_sealed();
  base::Status seal_file(DiskLayer& layer);

  const std::string name_;
  const BlockImageInfo info_;
  EventLoop& loop_;
  std::vector<ImageLayer> layers_;                // the controlling thread's
  std::vector<std::unique_ptr<DiskLayer>> open_;  // base first
  ClusterIndex index_;
  std::map<std::uint64_t, std::vector<std::function<void()>>>
      busy_;                              // clusters, who waits for them
  std::vector<DiskLayer*> unsealed_;      // frozen, not known to be durable
  std::vector<DiskLayer*> frozen_;        // for seal_frozen; the controlling thread's
  std::shared_ptr<FlushRun> next_flush_;  // collects who asks while one is running
  bool is_flushing_ = false;
  bool closing_ = false;
  std::unique_ptr<FileIo> io_;  // goes before the files: it waits for what is in flight
};

}  // namespace stasis::devices
