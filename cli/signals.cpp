#include "cli/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace stasis::cli {

base::Result<Signals> Signals::take_over() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPWR}) ::sigaddset(&set, number);
  base::Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.is_open()) return base::fail(base::errno_error("signalfd"));
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return Signals(std::move(fd), set);
}

std::optional<int> Signals::next() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

void Signals::give_back() const {
  ::pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
}

}  // namespace stasis::cli
