#include "cli/rotating_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace stasis::cli {
namespace {

base::Result<base::Fd> open_log(const std::string& path) {
  return base::open_file(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW);
}

}  // namespace

base::Result<std::unique_ptr<RotatingLog>> RotatingLog::append_to(std::string path,
                                                                  std::uint64_t limit) {
  base::Fd file = TRY(open_log(path));
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return base::fail(base::errno_error(path));
  const auto size = static_cast<std::uint64_t>(about.st_size);
  return std::unique_ptr<RotatingLog>(
      new RotatingLog(std::move(path), limit, std::move(file), size));
}

void RotatingLog::write(std::span<const std::uint8_t> bytes) {
  if (size_ >= limit_) rotate();
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    size_ += static_cast<std::uint64_t>(count);
  }
}

void RotatingLog::rotate() {
  if (::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) return;
  auto fresh = open_log(path_);
  if (!fresh) return;  // goes on in the old file
  file_ = std::move(*fresh);
  size_ = 0;
}

}  // namespace stasis::cli
