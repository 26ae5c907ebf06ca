#include "snapshot/state_root.h"

#include <unistd.h>

#include <cstdlib>

namespace stasis::snapshot {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string state_root() {
  if (std::string root = variable("STASIS_ROOT"); !root.empty()) return root;
  if (::geteuid() == 0) return "/var/lib/stasis";
  // XDG Base Directory Specification: a relative path is to be ignored.
  if (const std::string state = variable("XDG_STATE_HOME"); state.starts_with('/')) {
    return state + "/stasis";
  }
  return variable("HOME") + "/.local/state/stasis";
}

}  // namespace stasis::snapshot
