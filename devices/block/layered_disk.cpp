#include "devices/block/layered_disk.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "devices/block/layered_disk_parts.h"

namespace stasis::devices {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using Place = ClusterIndex::Place;

constexpr std::size_t kMaxLayers = 4096;

bool changes_image(BlockOperation operation) {
  return operation != BlockOperation::kRead && operation != BlockOperation::kFlush;
}

int check_request(const BlockImageInfo& info, const BlockRequest& request) {
  if (info.read_only && changes_image(request.operation)) return EROFS;
  if (request.operation == BlockOperation::kFlush) return 0;
  const std::uint64_t size = info.size_bytes;
  if (request.size == 0 || request.offset > size || request.size > size - request.offset) {
    return EINVAL;
  }
  if (request.operation != BlockOperation::kRead && request.operation != BlockOperation::kWrite) {
    return 0;
  }
  return total_of(request.buffers) == request.size ? 0 : EINVAL;
}

BlockImageInfo info_of(const DiskLayer& layer, bool read_only) {
  BlockImageInfo info = layer.file.info;
  info.size_bytes = layer.size_bytes;
  info.read_only = read_only;
  return info;
}

/// No larger than any cluster, those of the overlays that will come included.
unsigned granule_bits_of(const std::vector<std::unique_ptr<DiskLayer>>& layers,
                         std::uint64_t size_bytes) {
  unsigned bits = overlay_cluster_bits(size_bytes);
  for (const auto& layer : layers) {
    if (layer->qcow2) bits = std::min(bits, layer->qcow2->header().cluster_bits);
  }
  return bits;
}

std::vector<ImageLayer> specs_of(const std::vector<std::unique_ptr<DiskLayer>>& layers) {
  std::vector<ImageLayer> specs;
  specs.reserve(layers.size());
  for (const auto& layer : layers) specs.push_back(layer->spec);
  return specs;
}

}  // namespace

Status cut_file(const DiskLayer& layer, std::uint64_t size) {
  const int fd = layer.file.fd.get();
  if (::ftruncate(fd, static_cast<off_t>(size)) < 0) return fail(base::errno_error("ftruncate"));
  if (::fsync(fd) < 0) return fail(base::errno_error("fsync"));
  return {};
}

std::vector<iovec> slice_of(const std::vector<iovec>& buffers, std::uint64_t skip,
                            std::uint64_t size) {
  std::vector<iovec> slice;
  for (const iovec& buffer : buffers) {
    if (size == 0) break;
    const auto skipped = std::min<std::uint64_t>(skip, buffer.iov_len);
    const auto taken = std::min<std::uint64_t>(size, buffer.iov_len - skipped);
    skip -= skipped;
    size -= taken;
    if (taken > 0) slice.push_back({static_cast<std::byte*>(buffer.iov_base) + skipped, taken});
  }
  return slice;
}

std::uint64_t total_of(const std::vector<iovec>& buffers) {
  std::uint64_t sum = 0;
  for (const iovec& buffer : buffers) sum += buffer.iov_len;
  return sum;
}

int errno_of(const base::Error& error) {
  return error.kind() == ErrorKind::kOutOfResources ? ENOSPC : EIO;
}

Result<std::unique_ptr<LayeredDisk>> LayeredDisk::open(std::vector<ImageLayer> layers,
                                                       Options options, EventLoop& loop) {
  STASIS_CHECK(!layers.empty());
  if (layers.size() > kMaxLayers) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("disk \"{}\": {} layers; at most {} are supported; merge some with: "
                            "qemu-img commit",
                            layers.back().path, layers.size(), kMaxLayers));
  }
  std::vector<std::unique_ptr<DiskLayer>> open;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool is_writable = i + 1 == layers.size() && !options.read_only;
    open.push_back(TRY(open_disk_layer(layers[i], is_writable)));
    TRY(check_backing(*open.back(), i > 0 ? open[i - 1].get() : nullptr));
  }
  auto io = TRY(FileIo::create(options.engine, loop));
  return std::unique_ptr<LayeredDisk>(
      new LayeredDisk(std::move(open), options.read_only, std::move(io), loop));
}

LayeredDisk::LayeredDisk(std::vector<std::unique_ptr<DiskLayer>> open, bool read_only,
                         std::unique_ptr<FileIo> io, EventLoop& loop)
    : name_(open.back()->spec.path),
      info_(info_of(*open.back(), read_only)),
      loop_(loop),
      layers_(specs_of(open)),
      open_(std::move(open)),
      index_(granule_bits_of(open_, info_.size_bytes), info_.size_bytes),
      next_flush_(std::make_shared<FlushRun>()),
      io_(std::move(io)) {
  std::uint64_t visible = info_.size_bytes;
  for (std::size_t i = open_.size(); i-- > 0;) {
    visible = std::min(visible, open_[i]->size_bytes);
    open_[i]->visible_bytes = visible;
  }
}

LayeredDisk::~LayeredDisk() {
  loop_.run_sync([this] {
    closing_ = true;
    io_->set_group_listener({});
    if (is_raw_file()) return;  // its requests are the engine's alone
    io_->drain(kForever);
    const Status closed = close_top();
    if (!closed) {
      base::log::error("disk \"{}\": {}; what the guest wrote since its last flush is lost", name_,
                       closed.error().message());
    }
  });
}

/// Nothing is in flight any more, and nobody minds waiting.
Status LayeredDisk::close_top() {
  std::vector<DiskLayer*> layers = unsealed_;
  layers.push_back(&top());
  for (DiskLayer* layer : layers) {
    if (layer->qcow2 && layer->qcow2->is_writable()) TRY(layer->qcow2->commit_blocking());
  }
  for (DiskLayer* layer : layers) {
    if (!layer->qcow2 || !layer->qcow2->is_writable()) continue;
    TRY(cut_file(*layer, layer->qcow2->freeze()));
  }
  return {};
}

Result<PreparedOverlay> LayeredDisk::prepare_overlay(const std::string& path) const {
  if (info_.read_only) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("disk \"{}\": is read-only and needs no overlay", name_));
  }
  return make_overlay(path, info_.size_bytes, layers_.back());
}

void LayeredDisk::switch_to(PreparedOverlay overlay) {
  STASIS_CHECK(overlay.file_ && overlay.file_->size_bytes == info_.size_bytes);
  STASIS_CHECK(!is_flushing_ && busy_.empty());
  unsealed_.push_back(&top());
  frozen_.push_back(&top());
  overlay.file_->visible_bytes = info_.size_bytes;
  layers_.push_back(overlay.layer_);
  // Nothing is in it yet, so the index stays right as it is.
  open_.push_back(std::move(overlay.file_));
}

LayeredDisk::JobPtr LayeredDisk::make_job(std::function<void(int)> done) const {
  auto job = std::make_shared<Job>();
  job->done = std::move(done);
  return job;
}

std::function<void(int)> LayeredDisk::part_of(const JobPtr& job) {
  ++job->parts;
  return [this, job](int error) { end_part(job, error); };
}

void LayeredDisk::end_part(const JobPtr& job, int error) {
  if (job->error == 0) job->error = error;
  if (--job->parts == 0) job->done(job->error);
}

void LayeredDisk::fail_part(const JobPtr& job, const base::Error& error) const {
  static base::log::RateLimit rate_limit;
  if (rate_limit.allow()) {
    base::log::warn("disk \"{}\": {}; the guest sees an I/O error", name_, error.message());
  }
  if (job->error == 0) job->error = errno_of(error);
}

void LayeredDisk::submit(BlockRequest request) {
  const int error = check_request(info_, request);
  if (error != 0) return io_->answer(std::move(request.done), error);
  // A raw file alone needs no map.
  if (is_raw_file()) return io_->submit(top().target(), std::move(request));
  const JobPtr job = make_job([this, done = std::move(request.done)](int result) {
    if (done && !closing_) done(result);
  });
  start(job, request);
  if (job->parts > 1) return end_part(job, 0);
  io_->answer([this, job](int) { end_part(job, 0); }, 0);  // never from inside `submit`
}

void LayeredDisk::start(const JobPtr& job, BlockRequest& request) {
  switch (request.operation) {
    case BlockOperation::kRead:
      return read(job, request.offset, request.buffers);
    case BlockOperation::kWrite:
      return write(job, request.offset, request.buffers);
    case BlockOperation::kFlush:
      return flush(job, false);
    case BlockOperation::kDiscard:
    case BlockOperation::kWriteZeroes:
      return zero(job, request.offset, request.offset + request.size, request);
  }
}

/// As `extent_at`, within one granule.
Result<LayeredDisk::Extent> LayeredDisk::granule_at(std::uint64_t offset, std::uint64_t end) {
  const std::uint64_t step = std::uint64_t{1} << index_.granule_bits();
  const Place place = TRY(index_.find(offset, open_));
  Extent extent{nullptr, 0, std::min(end, (offset & ~(step - 1)) + step) - offset};
  if (place.layer == Place::kNone) return extent;
  const DiskLayer& layer = *open_[place.layer];
  if (offset >= layer.visible_bytes) return extent;
  extent.layer = &layer;
  extent.offset = place.offset + (offset & (step - 1));
  extent.size = std::min(extent.size, layer.visible_bytes - offset);
  return extent;
}

/// What lies together from `offset` on, `end` at most.
Result<LayeredDisk::Extent> LayeredDisk::extent_at(std::uint64_t offset, std::uint64_t end) {
  Extent extent = TRY(granule_at(offset, end));
  while (offset + extent.size < end) {
    const Extent next = TRY(granule_at(offset + extent.size, end));
    const bool follows = next.layer == extent.layer &&
                         (next.layer == nullptr || next.offset == extent.offset + extent.size);
    if (!follows) break;
    extent.size += next.size;
  }
  return extent;
}

void LayeredDisk::submit_part(const JobPtr& job, const Extent& extent, BlockOperation operation,
                              Buffers buffers, bool may_unmap) {
  BlockRequest request;
  request.operation = operation;
  request.offset = extent.offset;
  request.size = extent.size;
  request.buffers = std::move(buffers);
  request.may_unmap = may_unmap;
  request.done = part_of(job);
  io_->submit(extent.layer->target(), std::move(request));
}

void LayeredDisk::read(const JobPtr& job, std::uint64_t offset, const Buffers& buffers) {
  const std::uint64_t start = offset;
  const std::uint64_t end = offset + total_of(buffers);
  while (offset < end) {
    const auto extent = extent_at(offset, end);
    if (!extent) return fail_part(job, extent.error());
    Buffers part = slice_of(buffers, offset - start, extent->size);
    offset += extent->size;
    if (extent->layer != nullptr) {
      submit_part(job, *extent, BlockOperation::kRead, std::move(part));
      continue;
    }
    for (const iovec& buffer : part) std::memset(buffer.iov_base, 0, buffer.iov_len);
  }
}

}  // namespace stasis::devices
