#include "devices/legacy/acpi_pm.h"

#include <fmt/format.h>

#include <utility>

namespace stasis::devices {

namespace {

constexpr unsigned kSleepTypeShift = 2;
constexpr std::uint8_t kSleepTypeMask = 0x07;
constexpr std::uint8_t kSleepEnable = 0x20;
constexpr std::uint8_t kWakeStatus = 0x80;
constexpr std::uint8_t kAllEvents = AcpiPm::kPowerButtonEvent | AcpiPm::kGenerationEvent;

/// Register logic: what the write asks of the machine.
PowerRequest write_register(AcpiPmState& state, std::uint64_t offset, std::uint8_t value) {
  switch (offset) {
    case AcpiPm::kSleepControl:
      state.sleep_type = (value >> kSleepTypeShift) & kSleepTypeMask;
      if ((value & kSleepEnable) == 0 || state.sleep_type != AcpiPm::kSleepTypeS5) break;
      return state.request = PowerRequest::kPowerOff;
    case AcpiPm::kSleepStatus:
      if ((value & kWakeStatus) != 0) state.wake_status = false;
      break;
    case AcpiPm::kReset:
      if (value != AcpiPm::kResetValue) break;
      return state.request = PowerRequest::kReset;
    default:
      break;
  }
  return PowerRequest::kNone;
}

}  // namespace

base::Status AcpiPmState::validate() const {
  if (sleep_type > kSleepTypeMask) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("sleep_type: {} is above 7", sleep_type));
  }
  if ((events & ~kAllEvents) != 0) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("events: {:#x} has unknown bits", events));
  }
  if (request > PowerRequest::kReset) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("request: {} is not one", static_cast<unsigned>(request)));
  }
  return {};
}

AcpiPm::AcpiPm(Wiring wiring, State state) : wiring_(wiring), state_(state) {
  wiring_.irq.set_level(state_.events != 0);
  report(state_.request);
}

void AcpiPm::press_power_button() {
  raise(kPowerButtonEvent);
}

void AcpiPm::announce_generation_change() {
  raise(kGenerationEvent);
}

AcpiPm::State AcpiPm::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::uint8_t AcpiPm::read_byte(std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  switch (offset) {
    case kSleepControl:
      return static_cast<std::uint8_t>(state_.sleep_type << kSleepTypeShift);
    case kSleepStatus:
      return state_.wake_status ? kWakeStatus : 0;
    case kEvents: {
      const std::uint8_t events = std::exchange(state_.events, std::uint8_t{0});
      if (events != 0) wiring_.irq.set_level(false);
      return events;
    }
    default:
      return 0;
  }
}

void AcpiPm::write_byte(std::uint64_t offset, std::uint8_t value) {
  PowerRequest request{};
  {
    const std::lock_guard lock(mutex_);
    request = write_register(state_, offset, value);
  }
  report(request);
}

void AcpiPm::raise(std::uint8_t event) {
  const std::lock_guard lock(mutex_);
  state_.events |= event;
  wiring_.irq.set_level(true);
}

void AcpiPm::report(PowerRequest request) const {
  if (request == PowerRequest::kPowerOff) wiring_.events.power_off_requested();
  if (request == PowerRequest::kReset) wiring_.events.reset_requested();
}

}  // namespace stasis::devices
