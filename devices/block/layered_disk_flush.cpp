#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "devices/block/file_bytes.h"
#include "devices/block/layered_disk.h"
#include "devices/block/layered_disk_parts.h"

// How metadata gets to the files: one run at a time, layer by layer from the oldest that is not
// durable yet, each in the stages of Qcow2File::Commit. What changes while a run is under way goes
// with the next one.
namespace stasis::devices {

using base::Result;
using base::Status;

void LayeredDisk::flush(const JobPtr& job, bool only_frozen) {
  ++job->parts;
  next_flush_->jobs.push_back(job);
  next_flush_->with_top = next_flush_->with_top || !only_frozen;
  if (!is_flushing_) start_flush();
}

void LayeredDisk::start_flush() {
  const auto run = std::exchange(next_flush_, std::make_shared<FlushRun>());
  is_flushing_ = true;
  run->layers = unsealed_;
  if (run->with_top) run->layers.push_back(&top());
  if (run->layers.empty()) {
    return io_->answer([this, run](int) { end_flush(run); }, 0);
  }
  flush_layer(run);
}

void LayeredDisk::flush_layer(const std::shared_ptr<FlushRun>& run) {
  const DiskLayer& layer = *run->layers[run->layer];
  run->stage = 0;
  run->commit.reset();
  if (layer.qcow2 && layer.qcow2->has_changes()) run->commit = layer.qcow2->take_changes();
  write_stage(run);
}

void LayeredDisk::write_stage(const std::shared_ptr<FlushRun>& run) {
  const JobPtr stage = make_job([this, run](int error) { sync_stage(run, error); });
  const FileTarget target = run->layers[run->layer]->target();
  if (run->commit) {
    for (MetadataWrite& write : run->commit->stages[run->stage]) {
      BlockRequest request;
      request.operation = BlockOperation::kWrite;
      request.offset = write.offset;
      request.size = write.bytes.size();
      request.buffers = {{write.bytes.data(), write.bytes.size()}};
      request.done = part_of(stage);
      io_->submit(target, std::move(request));
    }
  }
  end_part(stage, 0);
}

void LayeredDisk::sync_stage(const std::shared_ptr<FlushRun>& run, int error) {
  if (error != 0) return end_layer(run, error);
  BlockRequest request;
  request.operation = BlockOperation::kFlush;
  request.done = [this, run](int result) {
    if (result != 0) return end_layer(run, result);
    if (!run->commit) return end_layer(run, 0);
    do {
      ++run->stage;
    } while (run->stage < run->commit->stages.size() && !run->commit->has_stage(run->stage));
    if (run->stage == run->commit->stages.size()) return end_layer(run, 0);
    write_stage(run);
  };
  io_->submit(run->layers[run->layer]->target(), std::move(request));
}

void LayeredDisk::end_layer(const std::shared_ptr<FlushRun>& run, int error) {
  DiskLayer* layer = run->layers[run->layer];
  if (error != 0) {
    // The layers above promise nothing before this one is durable.
    if (run->commit) layer->qcow2->put_back(std::move(*run->commit));
    run->error = error;
    return end_flush(run);
  }
  std::erase(unsealed_, layer);
  if (++run->layer < run->layers.size()) return flush_layer(run);
  end_flush(run);
}

void LayeredDisk::end_flush(const std::shared_ptr<FlushRun>& run) {
  is_flushing_ = false;
  run->commit.reset();
  for (const JobPtr& job : run->jobs) end_part(job, run->error);
  if (!is_flushing_ && !next_flush_->jobs.empty()) start_flush();
}

struct LayeredDisk::Sealing {
  std::atomic<bool> has_ended{false};
  std::atomic<int> error{0};
};

/// Has the loop flush the frozen layers, and waits for it without holding it up.
Status LayeredDisk::wait_until_sealed() {
  for (const DiskLayer* layer : frozen_) begin_write_back(layer->file.fd.get());
  const auto sealing = std::make_shared<Sealing>();
  loop_.run_sync([&] {
    const JobPtr job = make_job([sealing](int error) {
      sealing->error = error;
      sealing->has_ended = true;
    });
    flush(job, true);
    end_part(job, 0);
    io_->kick();
  });
  while (!sealing->has_ended) {
    // Also for a loop that is parked or was not started yet, which would not look by itself.
    loop_.run_sync([this] { io_->complete_ended(); });
    if (!sealing->has_ended) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (sealing->error == 0) return {};
  return base::fail(base::errno_error(
      sealing->error, fmt::format("disk \"{}\": making its contents durable", name_)));
}

Status LayeredDisk::seal_file(DiskLayer& layer) {
  if (layer.qcow2) {
    std::uint64_t size = 0;
    loop_.run_sync([&] { size = layer.qcow2->freeze(); });
    TRY(cut_file(layer, size));
  }
  return lock_disk_file(layer.file.fd, layer.spec.path, true);
}

Status LayeredDisk::seal_frozen() {
  if (frozen_.empty()) return {};
  TRY(wait_until_sealed());
  while (!frozen_.empty()) {
    const Status sealed = seal_file(*frozen_.front());
    if (!sealed) return base::fail(sealed.error().with_context(name_));
    frozen_.erase(frozen_.begin());
  }
  return {};
}

}  // namespace stasis::devices
