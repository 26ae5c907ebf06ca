#include "devices/block/disk_layer.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "devices/block/file_bytes.h"

namespace stasis::devices {
namespace {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

constexpr unsigned kSmallClusterBits = 12;

std::string quoted(const std::string& path) {
  return fmt::format("disk \"{}\"", path);
}

tl::unexpected<Error> refuse(const DiskLayer& layer, std::string_view text) {
  return fail(ErrorKind::kInvalidArgument, fmt::format("{}: {}", quoted(layer.spec.path), text));
}

Status open_qcow2(DiskLayer& layer, bool writable) {
  if (layer.file.is_device) {
    return fail(ErrorKind::kUnsupported,
                "a qcow2 image on a block device is not supported; copy it to a file");
  }
  const std::uint64_t file_bytes = layer.file.info.size_bytes;
  const int fd = layer.file.fd.get();
  Qcow2Header header = TRY(read_qcow2_header(fd, file_bytes));
  const bool is_ours = header.uuid.has_value();
  layer.size_bytes = header.size_bytes;
  layer.qcow2 = TRY(Qcow2File::open(fd, std::move(header), file_bytes));
  if (writable) return layer.qcow2->make_writable();
  // What we wrote has nothing of that kind; if it lies, reads of it fail.
  return is_ours ? Status{} : layer.qcow2->check_clusters();
}

bool is_same_file(const std::string& path, const ImageIdentity& identity) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 &&
         ImageIdentity{status.st_dev, status.st_ino} == identity;
}

Status check_backing_file(const DiskLayer& upper, const DiskLayer& lower) {
  const Qcow2Header& header = upper.qcow2->header();
  const std::string& name = *header.backing_path;
  const std::filesystem::path folder = std::filesystem::path(upper.spec.path).parent_path();
  if (!is_same_file((folder / name).string(), lower.file.info.identity)) {
    return refuse(upper, fmt::format("lies over \"{}\" by its own account, but \"{}\" was named; "
                                     "name the right one, or correct the file with: qemu-img "
                                     "rebase -u -f qcow2 -F {} -b {} {}",
                                     name, lower.spec.path, name_of(lower.spec.format),
                                     lower.spec.path, upper.spec.path));
  }
  const std::string format = name_of(lower.spec.format);
  if (header.backing_format.value_or(format) == format) return {};
  return refuse(upper, fmt::format("lies over \"{}\" of the format {} by its own account, but {} "
                                   "was named; name the right format",
                                   name, *header.backing_format, format));
}

}  // namespace

Result<Qcow2Header> read_qcow2_header(int fd, std::uint64_t file_bytes) {
  const auto read_first = [&](std::uint64_t size) -> Result<std::vector<std::byte>> {
    std::vector<std::byte> bytes(std::min(file_bytes, size));
    TRY(read_bytes(fd, 0, bytes));
    return bytes;
  };
  // A header is in the first cluster, which is small in files of ours: chains have hundreds.
  std::vector<std::byte> start = TRY(read_first(std::uint64_t{1} << kSmallClusterBits));
  const bool is_all = start.size() >= 24 && load_be(start, 20, 4) <= kSmallClusterBits;
  if (!is_all) start = TRY(read_first(kMaxQcow2HeaderBytes));
  return parse_qcow2_header(start, file_bytes);
}

Result<std::unique_ptr<DiskLayer>> open_disk_layer(const ImageLayer& spec, bool writable) {
  auto layer = std::make_unique<DiskLayer>();
  layer->spec = spec;
  if (spec.format == ImageFormat::kRaw) {
    layer->file = TRY(open_raw_file(spec.path, !writable));
    layer->size_bytes = layer->file.info.size_bytes;
    return layer;
  }
  layer->file = TRY(open_disk_file(spec.path, !writable));
  const Status opened = open_qcow2(*layer, writable);
  if (!opened) return fail(opened.error().with_context(quoted(spec.path)));
  return layer;
}

Status check_backing(const DiskLayer& upper, const DiskLayer* lower) {
  if (upper.spec.format == ImageFormat::kRaw) {
    if (lower == nullptr) return {};
    return refuse(upper, fmt::format("is raw and cannot lie over \"{}\"; leave that out, or name "
                                     "the base first",
                                     lower->spec.path));
  }
  const auto& name = upper.qcow2->header().backing_path;
  if (name && lower != nullptr) return check_backing_file(upper, *lower);
  if (name) {
    const auto& format = upper.qcow2->header().backing_format;
    return refuse(upper, fmt::format("lies over \"{}\", which has to be named, because a file's "
                                     "own word is not followed; add backing={}:{}",
                                     *name, format.value_or("raw"), *name));
  }
  if (lower == nullptr) return {};
  return refuse(upper, fmt::format("has no backing file, but \"{}\" was named; leave that out",
                                   lower->spec.path));
}

}  // namespace stasis::devices
