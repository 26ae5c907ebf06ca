#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/result.h"
#include "devices/checkpointable.h"
#include "devices/interrupts.h"
#include "devices/legacy/byte_io_handler.h"
#include "devices/machine_events.h"

namespace stasis::devices {

/// What a guest asked the machine to do and has not been done yet.
enum class PowerRequest : std::uint8_t { kNone, kPowerOff, kReset };

struct AcpiPmState {
  static constexpr std::string_view kName = "acpi_pm";
  static constexpr std::uint32_t kVersion = 1;

  std::uint8_t sleep_type = 0;  ///< SLP_TYPx, 0..7
  bool wake_status = false;     ///< WAK_STS
  std::uint8_t events = 0;      ///< not yet fetched by the guest: AcpiPm::kPowerButtonEvent, ...
  PowerRequest request = PowerRequest::kNone;

  bool operator==(const AcpiPmState&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a, b, c, d] = self;
    fields("sleep_type", a)("wake_status", b)("events", c)("request", d);
  }
  base::Status validate() const;
};

/// Power management of a hardware-reduced ACPI machine (ACPI 6.4): sleep control and status
/// registers (section 4.8.3.7), reset register (4.8.3.6), and the event register of a generic event
/// device (5.6.9). Four byte registers in port space:
///
/// | offset | register | FADT or DSDT |
/// | --- | --- | --- |
/// | kSleepControl | SLP_TYPx in bits 4:2, SLP_EN bit 5 (reads 0) | SLEEP_CONTROL_REG; `\_S5` =
/// kSleepTypeS5 | | kSleepStatus | WAK_STS bit 7, write 1 to clear | SLEEP_STATUS_REG | | kReset |
/// kResetValue resets, all else is ignored; reads 0 | RESET_REG, RESET_VALUE, RESET_REG_SUP | |
/// kEvents | kPowerButtonEvent, kGenerationEvent; **a read clears it** | read once by `_EVT` into a
/// local |
///
/// The interrupt is level-triggered, active high: asserted until `kEvents` is read, so an event can
/// neither be lost nor told twice, over a restore either. In the DSDT:
/// `Interrupt(ResourceConsumer, Level, ActiveHigh, Exclusive)`; in the MADT an override with the
/// same polarity and trigger mode, as the number is below 16. `_EVT` must look at every bit:
/// several events may share one interrupt.
///
/// Missing: S1..S4 (SLP_EN with another type than S5 is ignored), hence WAK_STS never sets.
/// Threads: any. Saved: AcpiPmState, a request under way included.
class AcpiPm final : public ByteIoHandler {
 public:
  static constexpr std::uint64_t kSleepControl = 0;
  static constexpr std::uint64_t kSleepStatus = 1;
  static constexpr std::uint64_t kReset = 2;
  static constexpr std::uint64_t kEvents = 3;

  static constexpr std::uint8_t kSleepTypeS5 = 5;
  static constexpr std::uint8_t kResetValue = 1;
  static constexpr std::uint8_t kPowerButtonEvent = 0x01;  ///< Notify(power button, 0x80)
  static constexpr std::uint8_t kGenerationEvent = 0x02;   ///< Notify(VMGenID device, 0x80)

  using State = AcpiPmState;
  struct Wiring {
    InterruptLine& irq;
    MachineEvents& events;
  };

  explicit AcpiPm(Wiring wiring, State state = {});

  /// Tells the guest that its power button was pressed; a second press before it looked is one.
  void press_power_button();

  /// Tells the guest that its generation ID is another one (VmGenId calls this).
  void announce_generation_change();

  std::string_view name() const override { return "acpi-pm"; }
  State save() const;

 private:
  std::uint8_t read_byte(std::uint64_t offset) override;
  void write_byte(std::uint64_t offset, std::uint8_t value) override;
  void raise(std::uint8_t event);
  void report(PowerRequest request) const;

  const Wiring wiring_;
  mutable std::mutex mutex_;
  State state_;  // guarded by mutex_, and so is the order of the line's levels
};
static_assert(Checkpointable<AcpiPm>);

}  // namespace stasis::devices
