#include "snapshot/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;

tl::unexpected<base::Error> host_error(const std::string& name) {
  return fail(base::errno_error(fmt::format("\"{}\"", name)));
}

base::Status write_all(const base::Fd& file, const std::string& name, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return host_error(name);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

base::Result<std::size_t> regular_size(const base::Fd& file, const std::string& name,
                                       std::size_t limit) {
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return host_error(name);
  if (!S_ISREG(about.st_mode)) {
    return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": not a regular file", name));
  }
  if (static_cast<std::uint64_t>(about.st_size) > limit) {
    return fail(ErrorKind::kCorrupt,
                fmt::format("\"{}\": {} bytes; at most {} make sense", name, about.st_size, limit));
  }
  return static_cast<std::size_t>(about.st_size);
}

}  // namespace

base::Status prepare_replacement(const base::Fd& folder, const std::string& name,
                                 std::string_view text) {
  const std::string fresh = name + ".new";
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  const base::Fd file(::openat(folder.get(), fresh.c_str(), kFlags, 0600));
  if (!file.is_open()) return host_error(fresh);
  TRY(write_all(file, fresh, text));
  if (::fsync(file.get()) != 0) return host_error(fresh);
  return {};
}

base::Status put_in_place(const base::Fd& folder, const std::string& name) {
  const std::string fresh = name + ".new";
  if (::renameat(folder.get(), fresh.c_str(), folder.get(), name.c_str()) != 0) {
    return host_error(name);
  }
  return sync_folder(folder);
}

base::Status replace_durably(const base::Fd& folder, const std::string& name,
                             std::string_view text) {
  TRY(prepare_replacement(folder, name, text));
  return put_in_place(folder, name);
}

base::Result<std::string> read_small_file(const base::Fd& folder, const std::string& name,
                                          std::size_t limit) {
  // O_NONBLOCK: a FIFO in its place must not hang us
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const base::Fd file(::openat(folder.get(), name.c_str(), kFlags));
  if (!file.is_open()) return host_error(name);
  const std::size_t size = TRY(regular_size(file, name, limit)) + 1;  // one more shows growth
  std::string text(size, '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return host_error(name);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  if (filled < size) return text;
  return fail(ErrorKind::kCorrupt, fmt::format("\"{}\": grows while it is read", name));
}

base::Status sync_folder(const base::Fd& folder) {
  if (::fsync(folder.get()) != 0) return fail(base::errno_error("fsync of a folder"));
  return {};
}

}  // namespace stasis::snapshot
