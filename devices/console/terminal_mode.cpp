#include "devices/console/terminal_mode.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace stasis::devices {
namespace {

/// tcsetattr that cannot stop this process, should the shell take the terminal just now (SIGTTOU).
void set_mode(int fd, const termios& mode) noexcept {
  sigset_t ttou;
  sigset_t before;
  sigemptyset(&ttou);
  sigaddset(&ttou, SIGTTOU);
  pthread_sigmask(SIG_BLOCK, &ttou, &before);
  // Not TCSADRAIN: a terminal that nobody reads would hold us up.
  ::tcsetattr(fd, TCSANOW, &mode);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

bool in_background_of(int fd) noexcept {
  const pid_t foreground = ::tcgetpgrp(fd);
  return foreground > 0 && foreground != ::getpgrp();
}

base::Result<std::unique_ptr<TerminalMode>> TerminalMode::make_raw(int fd) {
  if (::isatty(fd) == 0) {
    return base::fail(
        base::ErrorKind::kInvalidArgument,
        fmt::format("descriptor {}: not a terminal, so there is no raw mode to set", fd));
  }
  std::unique_ptr<TerminalMode> mode(new TerminalMode(fd));
  mode->make_raw_again();
  return mode;
}

void TerminalMode::make_raw_again() noexcept {
  if (in_background_of(fd_)) return;
  if (!is_raw_) {
    if (::tcgetattr(fd_, &before_) != 0) return;
    is_raw_ = true;
  }
  termios raw = before_;
  ::cfmakeraw(&raw);
  raw.c_oflag = before_.c_oflag;
  set_mode(fd_, raw);
}

void TerminalMode::restore() const noexcept {
  if (is_raw_ && !in_background_of(fd_)) set_mode(fd_, before_);
}

}  // namespace stasis::devices
