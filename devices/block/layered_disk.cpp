#include "devices/block/layered_disk.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

namespace stasis::devices {
namespace {

using base::ErrorKind;
using base::fail;

bool changes_image(BlockOperation operation) {
  return operation != BlockOperation::kRead && operation != BlockOperation::kFlush;
}

tl::unexpected<base::Error> not_yet(const std::string& path) {
  return fail(ErrorKind::kUnsupported,
              fmt::format("disk \"{}\": layers are not supported yet; use one raw image", path));
}

}  // namespace

base::Result<std::unique_ptr<LayeredDisk>> LayeredDisk::open(std::vector<ImageLayer> layers,
                                                             Options options, EventLoop& loop) {
  const ImageLayer& top = layers.back();
  if (layers.size() > 1 || top.format != ImageFormat::kRaw) return not_yet(top.path);
  RawFile file = TRY(open_raw_file(top.path, options.read_only));
  auto io = TRY(FileIo::create(options.engine, loop));
  return std::unique_ptr<LayeredDisk>(
      new LayeredDisk(std::move(layers), std::move(file), std::move(io)));
}

LayeredDisk::LayeredDisk(std::vector<ImageLayer> layers, RawFile raw, std::unique_ptr<FileIo> io)
    : name_(layers.back().path),
      info_(raw.info),
      layers_(std::move(layers)),
      raw_(std::move(raw)),
      io_(std::move(io)) {}

LayeredDisk::~LayeredDisk() = default;

base::Result<PreparedOverlay> LayeredDisk::prepare_overlay(std::string path) const {
  return not_yet(path);
}

void LayeredDisk::switch_to(PreparedOverlay overlay) {
  layers_.push_back(overlay.layer());
}

base::Status LayeredDisk::seal_frozen() {
  return {};
}

int LayeredDisk::check(const BlockRequest& request) const {
  if (info_.read_only && changes_image(request.operation)) return EROFS;
  if (request.operation == BlockOperation::kFlush) return 0;
  const std::uint64_t size = info_.size_bytes;
  if (request.size == 0 || request.offset > size || request.size > size - request.offset) {
    return EINVAL;
  }
  if (request.operation != BlockOperation::kRead && request.operation != BlockOperation::kWrite) {
    return 0;
  }
  std::uint64_t sum = 0;
  for (const iovec& buffer : request.buffers) sum += buffer.iov_len;
  return sum == request.size ? 0 : EINVAL;
}

void LayeredDisk::submit(BlockRequest request) {
  const int error = check(request);
  if (error != 0) return io_->answer(std::move(request.done), error);
  io_->submit({raw_.fd.get(), name_, raw_.is_device}, std::move(request));
}

}  // namespace stasis::devices
