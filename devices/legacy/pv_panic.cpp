#include "devices/legacy/pv_panic.h"

#include <misc/pvpanic.h>

namespace stasis::devices {

PvPanic::PvPanic(Wiring wiring, State state) : wiring_(wiring), state_(state) {
  if (state_.panicked) wiring_.events.guest_panicked(GuestPanic::kPanicked);
}

PvPanic::State PvPanic::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::uint8_t PvPanic::read_byte(std::uint64_t /*offset*/) {
  return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

void PvPanic::write_byte(std::uint64_t /*offset*/, std::uint8_t value) {
  // Both bits: the guest handles its crash itself, so it must be left running.
  if ((value & PVPANIC_CRASH_LOADED) != 0) {
    wiring_.events.guest_panicked(GuestPanic::kCrashLoaded);
  } else if ((value & PVPANIC_PANICKED) != 0) {
    {
      const std::lock_guard lock(mutex_);
      state_.panicked = true;
    }
    wiring_.events.guest_panicked(GuestPanic::kPanicked);
  }
}

}  // namespace stasis::devices
