#include "base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace stasis::base {
namespace {

ErrorKind kind_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
      return ErrorKind::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::kPermissionDenied;
    case EBUSY:
    case EADDRINUSE:
    case ETXTBSY:
      return ErrorKind::kBusy;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOTTY:
      return ErrorKind::kUnsupported;
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return ErrorKind::kOutOfResources;
    case ETIMEDOUT:
      return ErrorKind::kTimeout;
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG:
      return ErrorKind::kInvalidArgument;
    default:
      return ErrorKind::kIo;
  }
}

}  // namespace

Error Error::with_context(std::string_view context) const {
  return {kind_, fmt::format("{}: {}", context, message_)};
}

Error errno_error(int number, std::string_view what) {
  return {kind_of(number), fmt::format("{}: {}", what, std::generic_category().message(number))};
}

Error errno_error(std::string_view what) {
  return errno_error(errno, what);
}

}  // namespace stasis::base
