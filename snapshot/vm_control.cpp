#include "snapshot/vm_control.h"

#include <chrono>

namespace stasis::snapshot {

std::string_view word_for(PowerState state) {
  switch (state) {
    case PowerState::kOff:
      return "off";
    case PowerState::kStarting:
      return "starting";
    case PowerState::kRunning:
      return "running";
    case PowerState::kPaused:
      return "paused";
    case PowerState::kSaved:
      return "saved";
    case PowerState::kStopping:
      return "stopping";
  }
  return "unknown";
}

std::uint64_t unix_us_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(since).count());
}

}  // namespace stasis::snapshot
