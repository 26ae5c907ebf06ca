#include "devices/console/terminal_mode.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "base/fd.h"

namespace stasis::devices {
namespace {

struct Pty {
  Pty() : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    REQUIRE(master.is_open());
    REQUIRE(::grantpt(master.get()) == 0);
    REQUIRE(::unlockpt(master.get()) == 0);
    slave = base::open_file(::ptsname(master.get()), O_RDWR | O_NOCTTY).value();
  }
  termios mode() const {
    termios found{};
    REQUIRE(::tcgetattr(slave.get(), &found) == 0);
    return found;
  }
  base::Fd master;
  base::Fd slave;
};

TEST_CASE("terminal mode: raw while it lives, as before afterwards") {
  const Pty pty;
  const termios before = pty.mode();
  {
    const auto mode = TerminalMode::make_raw(pty.slave.get()).value();
    CHECK((pty.mode().c_lflag & (ICANON | ECHO | ISIG)) == 0);
    CHECK(pty.mode().c_oflag == before.c_oflag);
  }
  CHECK(pty.mode().c_lflag == before.c_lflag);
  CHECK(pty.mode().c_iflag == before.c_iflag);
}

TEST_CASE("terminal mode: can be restored early and set again") {
  const Pty pty;
  const termios before = pty.mode();
  const auto mode = TerminalMode::make_raw(pty.slave.get()).value();
  mode->restore();
  mode->restore();
  CHECK(pty.mode().c_lflag == before.c_lflag);
  mode->make_raw_again();
  CHECK((pty.mode().c_lflag & ICANON) == 0);
  mode->restore();
  CHECK(pty.mode().c_lflag == before.c_lflag);
}

TEST_CASE("terminal mode: something else than a terminal is refused") {
  const base::Fd null = base::open_file("/dev/null", O_RDWR).value();
  CHECK_FALSE(TerminalMode::make_raw(null.get()).has_value());
}

/// In a session of its own whose terminal is `slave`: a child in the background touches the mode.
/// Exit status 0: it ran to its end, was told that it is in the background and changed nothing.
int run_in_background(int slave) {
  ::setsid();
  if (::ioctl(slave, TIOCSCTTY, 0) != 0) return 10;
  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    const bool background = in_background_of(slave);
    auto mode = TerminalMode::make_raw(slave);
    termios found{};
    ::tcgetattr(slave, &found);
    ::_exit(background && mode.has_value() && (found.c_lflag & ICANON) != 0 ? 0 : 11);
  }
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  if (!WIFEXITED(status)) return 12;
  return in_background_of(slave) ? 13 : WEXITSTATUS(status);
}

TEST_CASE("terminal mode: a process in the background leaves the terminal alone") {
  const Pty pty;
  const pid_t leader = ::fork();
  if (leader == 0) ::_exit(run_in_background(pty.slave.get()));
  int status = 0;
  REQUIRE(::waitpid(leader, &status, 0) == leader);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace stasis::devices
