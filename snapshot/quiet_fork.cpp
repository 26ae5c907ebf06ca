#include "snapshot/quiet_fork.h"

#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace stasis::snapshot {
namespace {

void close_between(int first, int last) {
  if (first > last) return;
  if (::close_range(static_cast<unsigned>(first), static_cast<unsigned>(last), 0) == 0) return;
  // Before Linux 5.9. The limit on descriptors is the only bound on their numbers then.
  const long limit = ::sysconf(_SC_OPEN_MAX);
  for (int fd = first; fd <= last && fd < limit; ++fd) ::close(fd);
}

}  // namespace

pid_t quiet_fork(int* pidfd) {
  // clone(2) as fork(2), but without a signal in the low byte of the flags. The third argument
  // takes the descriptor.
  const unsigned long flags = pidfd != nullptr ? CLONE_PIDFD : 0;
  return static_cast<pid_t>(::syscall(SYS_clone, flags, nullptr, pidfd, nullptr, 0UL));
}

int reap(pid_t child) {
  int status = -1;
  pid_t reaped = -1;
  do {
    reaped = ::waitpid(child, &status, __WALL);
  } while (reaped < 0 && errno == EINTR);
  return reaped == child ? status : -1;
}

bool has_ended(pid_t child) {
  siginfo_t info{};
  const int seen =
      ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT | __WALL);
  return seen < 0 || info.si_pid == child;
}

void close_all_but(std::span<const int> kept) {
  int next = 3;
  while (true) {
    int first_kept = std::numeric_limits<int>::max();
    for (const int fd : kept) {
      if (fd >= next) first_kept = std::min(first_kept, fd);
    }
    if (first_kept == std::numeric_limits<int>::max()) break;
    close_between(next, first_kept - 1);
    next = first_kept + 1;
  }
  close_between(next, std::numeric_limits<int>::max());
}

}  // namespace stasis::snapshot
