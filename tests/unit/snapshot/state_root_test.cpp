#include "snapshot/state_root.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>

namespace stasis::snapshot {
namespace {

TEST_CASE("the environment names the state root") {
  ::setenv("STASIS_ROOT", "/srv/vms", 1);
  CHECK(state_root() == "/srv/vms");
  ::unsetenv("STASIS_ROOT");
}

TEST_CASE("by default the state root is the system's or the user's own") {
  ::unsetenv("STASIS_ROOT");
  ::setenv("XDG_STATE_HOME", "/users/a/state", 1);
  CHECK(state_root() == (::geteuid() == 0 ? "/var/lib/stasis" : "/users/a/state/stasis"));
  ::unsetenv("XDG_STATE_HOME");
  ::setenv("HOME", "/users/a", 1);
  CHECK(state_root() == (::geteuid() == 0 ? "/var/lib/stasis" : "/users/a/.local/state/stasis"));
}

}  // namespace
}  // namespace stasis::snapshot
