#include "vmm/boot/byte_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace stasis::vmm {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;

namespace {

Status check_range(std::uint64_t offset, std::uint64_t wanted, std::uint64_t size) {
  if (offset <= size && wanted <= size - offset) return {};
  return fail(ErrorKind::kCorrupt, fmt::format("ends at byte {}, but bytes {} to {} are needed",
                                               size, offset, offset + wanted));
}

}  // namespace

Result<FileSource> FileSource::open(const std::string& path) {
  // Non-blocking, so that a named pipe is refused below instead of being waited for.
  base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.is_open() && errno == ENOENT)
    return fail(ErrorKind::kNotFound, "not found; check the path");
  if (!fd.is_open()) return fail(base::errno_error("cannot be opened"));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail(base::errno_error("fstat"));
  if (S_ISDIR(info.st_mode)) {
    return fail(ErrorKind::kInvalidArgument, "a folder; name a file in it");
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorKind::kInvalidArgument,
                "a pipe, socket or device, which cannot be read at any offset; copy it to a file");
  }
  return FileSource(std::move(fd), static_cast<std::uint64_t>(info.st_size));
}

Status FileSource::read(std::uint64_t offset, std::span<std::byte> out) const {
  TRY(check_range(offset, out.size(), size_));
  while (!out.empty()) {
    const auto got = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(base::errno_error(fmt::format("read at byte {}", offset)));
    if (got == 0) {
      return fail(ErrorKind::kIo, fmt::format("shrank to {} bytes while being read", offset));
    }
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Status MemorySource::read(std::uint64_t offset, std::span<std::byte> out) const {
  TRY(check_range(offset, out.size(), bytes_.size()));
  std::ranges::copy(bytes_.subspan(static_cast<std::size_t>(offset), out.size()), out.begin());
  return {};
}

}  // namespace stasis::vmm
