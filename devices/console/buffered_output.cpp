#include "devices/console/buffered_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/log.h"

namespace stasis::devices {
namespace {

// With POLLOUT a pipe takes PIPE_BUF bytes without blocking (pipe(7)); terminals have room for a
// few hundred at least in all but rare moments.
constexpr std::size_t kPollFirstPiece = 256;
constexpr std::chrono::milliseconds kLastFlush{1000};

bool has_room(int fd, int timeout_ms) {
  pollfd one{fd, POLLOUT, 0};
  return ::poll(&one, 1, timeout_ms) > 0;
}

/// Whether opening /proc/self/fd/N gives the same pipe or terminal once more. Not so for the
/// master side of a pseudo-terminal: that would be a new pair.
bool can_be_reopened(int fd, mode_t mode) {
  unsigned number = 0;
  return S_ISFIFO(mode) || (::isatty(fd) != 0 && ::ioctl(fd, TIOCGPTN, &number) != 0);
}

}  // namespace

BufferedOutput::BufferedOutput(EventLoop& loop, int fd, std::string name)
    : loop_(loop), fd_(fd), name_(std::move(name)), blocked_(loop, [this] { watch_for_room(); }) {
  choose_kind();
}

BufferedOutput::BufferedOutput(EventLoop& loop, base::Fd fd, std::string name)
    : loop_(loop),
      owned_(std::move(fd)),
      fd_(owned_.get()),
      name_(std::move(name)),
      blocked_(loop, [this] { watch_for_room(); }) {
  choose_kind();
}

base::Result<std::unique_ptr<BufferedOutput>> BufferedOutput::append_to(EventLoop& loop,
                                                                        const std::string& path) {
  // Non-blocking: a FIFO without a reader is an error, not a wait.
  auto file = base::open_file(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY);
  if (!file) {
    return base::fail(base::Error(
        file.error().kind(),
        fmt::format("console file {}; name a file that can be written", file.error().message())));
  }
  return std::make_unique<BufferedOutput>(loop, std::move(*file), fmt::format("\"{}\"", path));
}

BufferedOutput::~BufferedOutput() {
  blocked_.cancel();
  loop_.run_sync([this] {
    if (watching_) loop_.unwatch(fd_);
  });
  const auto deadline = std::chrono::steady_clock::now() + kLastFlush;
  const std::lock_guard lock(mutex_);
  while (!flush_pending()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    has_room(fd_, static_cast<int>(left.count()));
  }
  dropped_ += pending_.size();
  if (dropped_ > 0 && !name_.empty()) {
    base::log::warn("console {}: {} bytes lost to a reader too slow or gone", name_,
                    dropped_.load());
  }
}

void BufferedOutput::choose_kind() {
  struct stat status {};
  const int flags = ::fcntl(fd_, F_GETFL);
  if (flags < 0 || ::fstat(fd_, &status) != 0) return;
  if (S_ISSOCK(status.st_mode)) {
    kind_ = Kind::kSocket;
  } else if ((flags & O_NONBLOCK) != 0) {
    kind_ = Kind::kNonBlocking;
  } else if (S_ISFIFO(status.st_mode) || ::isatty(fd_) != 0) {
    kind_ = Kind::kPollFirst;
    if (!can_be_reopened(fd_, status.st_mode)) return;
    reopened_ = base::Fd(::open(fmt::format("/proc/self/fd/{}", fd_).c_str(),
                                O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!reopened_.is_open()) return;  // another user's terminal, for example
    fd_ = reopened_.get();
    kind_ = Kind::kNonBlocking;
  }
}

void BufferedOutput::write(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  if (pending_.empty()) bytes = bytes.subspan(write_some(bytes));
  if (bytes.empty()) return;
  if (closed_) {
    dropped_ += bytes.size();
    return;
  }
  keep(bytes);
  blocked_.request();
}

/// Writes what does not block. Less than all: it would block, or the output is closed now.
std::size_t BufferedOutput::write_some(std::span<const std::uint8_t> bytes) {
  std::size_t done = 0;
  while (!closed_ && done < bytes.size()) {
    if (kind_ == Kind::kPollFirst && !has_room(fd_, 0)) break;
    const auto rest = bytes.subspan(done);
    const std::size_t size =
        kind_ == Kind::kPollFirst ? std::min(rest.size(), kPollFirstPiece) : rest.size();
    const ssize_t written = kind_ == Kind::kSocket
                                ? ::send(fd_, rest.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                : ::write(fd_, rest.data(), size);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      close_output(errno);
    }
  }
  return done;
}

void BufferedOutput::keep(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > kMaxPending) {
    dropped_ += bytes.size() - kMaxPending;
    bytes = bytes.last(kMaxPending);
  }
  const std::size_t over = std::max(pending_.size() + bytes.size(), kMaxPending) - kMaxPending;
  dropped_ += over;
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(over));
  pending_.insert(pending_.end(), bytes.begin(), bytes.end());
}

/// With the lock held. True when nothing is left to write.
bool BufferedOutput::flush_pending() {
  const std::size_t written = write_some(pending_);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(written));
  if (closed_) dropped_ += pending_.size();
  if (closed_ || pending_.empty()) pending_ = {};
  return pending_.empty();
}

void BufferedOutput::watch_for_room() {
  if (watching_) return;
  watching_ = true;
  loop_.watch(fd_, POLLOUT, [this] {
    const std::lock_guard lock(mutex_);
    if (!flush_pending()) return;
    watching_ = false;
    loop_.unwatch(fd_);
  });
}

/// Full disks and readers that went away: the guest runs on, its output is lost from here on.
void BufferedOutput::close_output(int error) {
  closed_ = true;
  if (name_.empty()) return;
  base::log::warn("{}; the guest's output is dropped from now on",
                  base::errno_error(error, fmt::format("console {}", name_)).message());
}

}  // namespace stasis::devices
