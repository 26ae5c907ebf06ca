#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace stasis::base {

/// What went wrong, coarse enough to choose an exit code or a management return code by.
enum class ErrorKind {
  kInvalidArgument,   ///< a value the caller gave is wrong; the message names it and the remedy
  kNotFound,          ///< a file, VM or snapshot that was named does not exist
  kPermissionDenied,  ///< the host refuses access
  kInvalidState,      ///< a right request at the wrong moment
  kBusy,              ///< somebody else holds the resource
  kUnsupported,       ///< this host or build cannot do it
  kIo,                ///< the host failed while doing it
  kCorrupt,           ///< data that was read contradicts itself
  kTimeout,           ///< a deadline passed
  kCancelled,         ///< the caller took it back
  kOutOfResources,    ///< memory, disk space or descriptors ran out
  kInternal,          ///< a fault of this program
};

/// Why an operation failed: a kind and one sentence (lower case, no full stop, values included).
class Error {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }

  /// The same error with `context` and ": " put in front.
  Error with_context(std::string_view context) const;

 private:
  ErrorKind kind_;
  std::string message_;
};

/// Error for a failed system call: "`what`: text of `number`". The kind follows from `number`
/// (ENOENT: not found, EACCES: permission denied, ENOSPC: out of resources, ...).
Error errno_error(int number, std::string_view what);

/// As above for the current `errno`.
Error errno_error(std::string_view what);

}  // namespace stasis::base
