#include "snapshot/snapshot_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "snapshot/capture_support.h"
#include "snapshot/digest.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

constexpr std::size_t kReadPieceBytes = std::size_t{1} << 20;

base::Status check_digest(const FileRecord& record, const Digest& found) {
  if (to_hex(found) == record.digest) return {};
  return fail(
      ErrorKind::kCorrupt,
      fmt::format("\"{}\": checksum of bytes 0 to {} is {}, not {}: the file was changed or "
                  "damaged",
                  record.name, record.size_bytes, to_hex(found), record.digest));
}

}  // namespace

base::Result<FoundFile> open_snapshot_file(const base::Fd& folder, const std::string& name) {
  FoundFile file;
  // O_NONBLOCK: a pipe in the place of the file must not make us wait.
  file.fd = base::Fd(
      ::openat(folder.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status {};
  if (!file.fd.is_open() || ::fstat(file.fd.get(), &status) < 0) {
    return fail(base::errno_error(fmt::format("\"{}\"", name)));
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": is not a regular file", name));
  }
  file.size_bytes = static_cast<std::uint64_t>(status.st_size);
  file.mtime_ns = mtime_ns(status);
  return file;
}

base::Result<FoundFile> open_recorded_file(const base::Fd& folder, const FileRecord& record) {
  auto file = TRY(open_snapshot_file(folder, record.name));
  if (file.size_bytes == record.size_bytes) return file;
  return fail(ErrorKind::kCorrupt,
              fmt::format("\"{}\": is {} bytes long, not {}: the file was cut off or changed",
                          record.name, file.size_bytes, record.size_bytes));
}

base::Status read_at(const base::Fd& fd, const std::string& name, std::uint64_t offset,
                     std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return fail(base::errno_error(fmt::format("\"{}\": reading at byte {}", name, offset)));
    }
    if (count == 0) {
      return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": ends at byte {}", name, offset));
    }
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

base::Result<std::vector<std::byte>> read_recorded_file(const base::Fd& folder,
                                                        const FileRecord& record,
                                                        std::uint64_t limit) {
  const auto file = TRY(open_recorded_file(folder, record));
  if (record.size_bytes > limit) {
    return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": is {} bytes long; at most {}",
                                                 record.name, record.size_bytes, limit));
  }
  std::vector<std::byte> bytes(record.size_bytes);
  TRY(read_at(file.fd, record.name, 0, bytes));
  TRY(check_digest(record, digest_of(bytes)));
  return bytes;
}

base::Status verify_recorded_file(const base::Fd& folder, const FileRecord& record,
                                  VerifyProgress& progress) {
  const auto file = TRY(open_recorded_file(folder, record));
  std::vector<std::byte> buffer(kReadPieceBytes);
  Hasher hasher;
  for (std::uint64_t offset = 0; offset < record.size_bytes;) {
    const auto piece = std::span(buffer).first(
        std::min<std::uint64_t>(kReadPieceBytes, record.size_bytes - offset));
    TRY(read_at(file.fd, record.name, offset, piece));
    hasher.add(piece);
    TRY(progress.add(piece.size()));
    offset += piece.size();
  }
  return check_digest(record, hasher.digest());
}

}  // namespace stasis::snapshot
