#include "devices/block/file_bytes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "devices/block/qcow2_refcounts.h"

namespace stasis::devices {

base::Status read_bytes(int fd, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return base::fail(base::errno_error("read"));
    if (count == 0) {
      return base::fail(base::ErrorKind::kCorrupt,
                        fmt::format("ends at {}, before {} bytes of a table", offset, out.size()));
    }
    out = out.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

namespace {

base::Status write_bytes(int fd, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return base::fail(base::errno_error(count < 0 ? errno : EIO, "write"));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

}  // namespace

base::Status write_all(int fd, const std::vector<MetadataWrite>& writes) {
  for (const MetadataWrite& write : writes) TRY(write_bytes(fd, write.offset, write.bytes));
  return {};
}

void begin_write_back(int fd) {
  constexpr off_t kPieceBytes = off_t{1} << 20;
  const off_t size = ::lseek(fd, 0, SEEK_END);  // of block devices, too; nobody reads at a position
  for (off_t offset = 0; offset < size; offset += kPieceBytes) {
    if (::sync_file_range(fd, offset, kPieceBytes, SYNC_FILE_RANGE_WRITE) < 0) return;
  }
}

base::Status sync_data(int fd) {
  if (::fdatasync(fd) < 0) return base::fail(base::errno_error("fdatasync"));
  return {};
}

}  // namespace stasis::devices
