#pragma once

#include <string>

#include "base/result.h"

namespace stasis::cli {

enum class Detachment {
  kByUser,  ///< Ctrl-] x, or end of input with nobody to wait for
  kByEnd,   ///< the machine is off, or its process gone
};

/// Standard input and output are the machine's console, until Ctrl-] x is typed (on a terminal,
/// which is in raw mode meanwhile) or the machine ends. At the end of input that is no terminal the
/// output goes on. SIGINT, SIGTERM and SIGHUP detach.
base::Result<Detachment> attach_console(const std::string& name, const std::string& socket_path);

}  // namespace stasis::cli
