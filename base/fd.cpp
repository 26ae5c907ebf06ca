#include "base/fd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace stasis::base {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    number_ = other.release();
  }
  return *this;
}

int Fd::release() {
  return std::exchange(number_, -1);
}

void Fd::reset() {
  // Linux frees the number even when close() reports EINTR or EIO, so there is nothing to retry.
  if (number_ >= 0) ::close(release());
}

Result<Fd> open_file(const std::string& path, int flags, unsigned mode) {
  int number = -1;
  do {
    number = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (number < 0 && errno == EINTR);
  if (number < 0) return fail(errno_error(fmt::format("\"{}\"", path)));
  return Fd(number);
}

Result<Fd> make_eventfd(unsigned initial) {
  Fd fd(::eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.is_open()) return fail(errno_error("eventfd"));
  return fd;
}

void signal_eventfd(const Fd& eventfd) {
  const std::uint64_t one = 1;
  // The only failure is EAGAIN on a counter at its maximum: signalled already.
  [[maybe_unused]] const auto written = ::write(eventfd.get(), &one, sizeof one);
}

std::uint64_t drain_eventfd(const Fd& eventfd) {
  std::uint64_t count = 0;
  return ::read(eventfd.get(), &count, sizeof count) == sizeof count ? count : 0;
}

}  // namespace stasis::base
