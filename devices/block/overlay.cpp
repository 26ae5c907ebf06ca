#include "devices/block/overlay.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "devices/block/disk_layer.h"
#include "devices/block/file_bytes.h"

namespace stasis::devices {
namespace {

namespace fs = std::filesystem;
using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 50;  // its L1 table has 16 MiB
constexpr std::size_t kMaxBackingName = 1023;
// A guest writes pages of 4 KiB: a cluster of that size needs nothing copied into it from below.
constexpr unsigned kSmallestClusterBits = 12;
constexpr unsigned kLargestClusterBits = 16;
// At 8 bytes each in the tables and in memory: 32 MiB for a disk that is touched everywhere.
constexpr std::uint64_t kFewClusters = std::uint64_t{1} << 22;

Result<ImageUuid> make_uuid() {
  ImageUuid uuid{};
  if (::getrandom(uuid.data(), uuid.size(), 0) != static_cast<ssize_t>(uuid.size())) {
    return fail(base::errno_error("getrandom"));
  }
  uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0F) | 0x40);  // RFC 4122: random
  uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80);
  return uuid;
}

/// How `overlay` calls `backing`: by its name alone in the same folder, so that folders can move.
std::string backing_name(const fs::path& overlay, const fs::path& backing) {
  const auto full = [](const fs::path& path) { return fs::absolute(path).lexically_normal(); };
  const bool is_neighbour = full(overlay).parent_path() == full(backing).parent_path();
  return (is_neighbour ? backing.filename() : full(backing)).string();
}

/// Where the tables of an empty file are; all in a row, so that one block of refcounts does.
struct Layout {
  Qcow2Header header;
  std::uint64_t block_offset = 0;
  std::uint64_t clusters = 0;
};

Layout lay_out(std::uint64_t size_bytes) {
  Layout layout;
  Qcow2Header& header = layout.header;
  header.size_bytes = size_bytes;
  header.cluster_bits = overlay_cluster_bits(size_bytes);
  const std::uint64_t cluster = header.cluster_size();
  const auto in_clusters = [&](std::uint64_t bytes) { return (bytes + cluster - 1) / cluster; };
  // A refcount table for all that the file may ever have, as Qcow2Refcounts::reserve_table counts.
  std::uint64_t blocks =
      (header.clusters() + header.l1_needed() + 1024) / header.refcounts_per_block() + 1;
  blocks += blocks / 16 + 2;
  header.refcount_table_clusters = static_cast<std::uint32_t>(in_clusters(blocks * 8));
  header.l1_entries = static_cast<std::uint32_t>(header.l1_needed());
  header.refcount_table_offset = cluster;
  layout.block_offset = (1 + std::uint64_t{header.refcount_table_clusters}) * cluster;
  header.l1_offset = layout.block_offset + cluster;
  layout.clusters = header.l1_offset / cluster + in_clusters(std::uint64_t{header.l1_entries} * 8);
  return layout;
}

std::vector<MetadataWrite> initial_writes(const Layout& layout) {
  MetadataWrite table{layout.header.refcount_table_offset, std::vector<std::byte>(8)};
  store_be(table.bytes, 0, 8, layout.block_offset);
  MetadataWrite block{layout.block_offset, std::vector<std::byte>(layout.clusters * 2)};
  for (std::size_t i = 0; i < layout.clusters; ++i) store_be(block.bytes, i * 2, 2, 1);
  return {{0, encode_qcow2_header(layout.header)}, std::move(table), std::move(block)};
}

Status write_file(int fd, const Layout& layout) {
  const std::uint64_t size = layout.clusters * layout.header.cluster_size();
  if (::ftruncate(fd, static_cast<off_t>(size)) < 0) return fail(base::errno_error("ftruncate"));
  TRY(write_all(fd, initial_writes(layout)));
  if (::fsync(fd) < 0) return fail(base::errno_error("fsync"));
  return {};
}

Status sync_folder_of(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  const base::Fd fd =
      TRY(base::open_file(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) < 0) return fail(base::errno_error("fsync of the folder"));
  return {};
}

Status fill_new_file(const std::string& path, std::uint64_t size_bytes, const ImageLayer& backing) {
  Layout layout = lay_out(size_bytes);
  layout.header.uuid = TRY(make_uuid());
  layout.header.backing_format = name_of(backing.format);
  layout.header.backing_path = backing_name(path, backing.path);
  if (layout.header.backing_path->size() > kMaxBackingName) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("the backing file's path has more than {} bytes; use a shorter one",
                            kMaxBackingName));
  }
  const base::Fd fd = TRY(base::open_file(path, O_RDWR));
  TRY(write_file(fd.get(), layout));
  return sync_folder_of(path);
}

Status create_file(const std::string& path) {
  const base::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (fd.is_open()) return {};
  if (errno != EEXIST) return fail(base::errno_error("create"));
  return fail(ErrorKind::kInvalidArgument, "exists already; remove it, or choose another name");
}

}  // namespace

unsigned overlay_cluster_bits(std::uint64_t size_bytes) {
  unsigned bits = kSmallestClusterBits;
  while (bits < kLargestClusterBits && size_bytes > kFewClusters << bits) ++bits;
  return bits;
}

PreparedOverlay::PreparedOverlay(ImageLayer layer, std::unique_ptr<DiskLayer> file)
    : layer_(std::move(layer)), file_(std::move(file)) {}

PreparedOverlay::PreparedOverlay(PreparedOverlay&& other) noexcept = default;

PreparedOverlay& PreparedOverlay::operator=(PreparedOverlay&& other) noexcept {
  if (this == &other) return *this;
  remove();
  layer_ = std::move(other.layer_);
  file_ = std::move(other.file_);
  return *this;
}

PreparedOverlay::~PreparedOverlay() {
  remove();
}

/// Removed while it is locked, so that nobody opens it in between.
void PreparedOverlay::remove() {
  if (file_) ::unlink(layer_.path.c_str());
  file_.reset();
}

void PreparedOverlay::keep() {
  file_.reset();
}

base::Result<PreparedOverlay> make_overlay(const std::string& path, std::uint64_t size_bytes,
                                           const ImageLayer& backing) {
  const std::string context = fmt::format("overlay \"{}\"", path);
  if (size_bytes > kMaxSize) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("{}: a disk of {} bytes; at most {} are supported", context, size_bytes,
                            kMaxSize));
  }
  const Status created = create_file(path);
  if (!created) return fail(created.error().with_context(context));
  const ImageLayer spec{path, ImageFormat::kQcow2};
  const Status filled = fill_new_file(path, size_bytes, backing);
  auto layer = filled ? open_disk_layer(spec, true)
                      : Result<std::unique_ptr<DiskLayer>>(fail(filled.error()));
  if (layer) return PreparedOverlay(spec, std::move(*layer));
  ::unlink(path.c_str());
  return fail(layer.error().with_context(context));
}

base::Status create_overlay(const std::string& path, const std::vector<ImageLayer>& backing) {
  if (backing.empty()) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("overlay \"{}\": nothing to lie over; name a base", path));
  }
  std::vector<std::unique_ptr<DiskLayer>> layers;
  for (const ImageLayer& spec : backing) {
    layers.push_back(TRY(open_disk_layer(spec, false)));
    const std::size_t count = layers.size();
    TRY(check_backing(*layers.back(), count > 1 ? layers[count - 2].get() : nullptr));
  }
  PreparedOverlay overlay = TRY(make_overlay(path, layers.back()->size_bytes, backing.back()));
  overlay.keep();
  return {};
}

base::Result<std::string> overlay_uuid(const std::string& path) {
  const auto read = [&]() -> Result<std::string> {
    const base::Fd fd = TRY(base::open_file(path, O_RDONLY));
    const off_t size = ::lseek(fd.get(), 0, SEEK_END);
    if (size < 0) return fail(base::errno_error("size"));
    const auto header = TRY(read_qcow2_header(fd.get(), static_cast<std::uint64_t>(size)));
    if (header.uuid) return uuid_text(*header.uuid);
    return fail(ErrorKind::kNotFound, "has no identity: it was not made by stasis");
  };
  auto uuid = read();
  if (!uuid) return fail(uuid.error().with_context(fmt::format("disk \"{}\"", path)));
  return uuid;
}

}  // namespace stasis::devices
