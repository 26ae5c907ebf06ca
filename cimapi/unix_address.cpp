#include "cimapi/unix_address.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/un.h>

namespace stasis::cimapi {

base::Result<UnixAddress> UnixAddress::of(const std::string& path) {
  constexpr std::size_t kMaxLength = sizeof(sockaddr_un{}.sun_path) - 1;
  if (path.size() <= kMaxLength) return UnixAddress({}, path);
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  base::Fd opened = TRY(base::open_file(folder, O_PATH | O_DIRECTORY));
  std::string name = fmt::format("/proc/self/fd/{}/{}", opened.get(), path.substr(slash + 1));
  if (name.size() > kMaxLength) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      fmt::format("socket \"{}\": name is too long", path));
  }
  return UnixAddress(std::move(opened), std::move(name));
}

}  // namespace stasis::cimapi
