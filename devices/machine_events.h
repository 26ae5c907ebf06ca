#pragma once

#include <cstdint>

namespace stasis::devices {

/// What a guest told about its crash (pvpanic).
enum class GuestPanic : std::uint8_t {
  kPanicked,     ///< it crashed and waits for the host to act
  kCrashLoaded,  ///< it crashed and handles that itself (kdump): report, but let it run
};

/// Told of what a guest asks of the whole machine. Threads: the vCPU that asked, outside the
/// device's lock. An implementation only takes a note and wakes the one who acts, because its
/// caller still has an access to finish. A device that is built from a state in which a request was
/// under way reports it again, from its constructor: the restored machine is in the phase that was
/// saved.
class MachineEvents {
 public:
  virtual ~MachineEvents() = default;

  /// Start the machine anew, as if it had just been switched on.
  virtual void reset_requested() = 0;

  /// Switch the machine off.
  virtual void power_off_requested() = 0;

  virtual void guest_panicked(GuestPanic panic) = 0;
};

}  // namespace stasis::devices
