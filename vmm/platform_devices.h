#pragma once

#include <memory>
#include <optional>

#include "base/guest_memory.h"
#include "base/result.h"
#include "devices/io_bus.h"
#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/cmos_rtc.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/pv_panic.h"
#include "devices/legacy/uart_16550.h"
#include "devices/legacy/vm_gen_id.h"
#include "vmm/kvm/kvm_interrupts.h"
#include "vmm/surviving_state.h"

namespace stasis::vmm {

/// State of the platform's devices, each with the version it has by itself.
struct PlatformState {
  devices::Uart16550State uart;
  devices::I8042State i8042;
  devices::CmosRtcState rtc;
  devices::PvPanicState pv_panic;
  devices::AcpiPmState acpi_pm;
  devices::VmGenIdState vm_gen_id;
  bool operator==(const PlatformState&) const = default;
};

/// The devices every machine has at fixed ports: COM1, i8042, CMOS clock, pvpanic, power management
/// and the generation ID. Threads: as the devices'.
class PlatformDevices {
 public:
  using State = PlatformState;
  struct Wiring {
    const KvmVm& vm;
    const base::GuestMemory& memory;
    devices::MachineEvents& events;
    devices::ByteSink& serial_output;
  };

  /// What a machine starts with that is switched on, with a random generation ID, or whose guest
  /// has reset it, with what survived.
  static base::Result<State> first_state(const std::optional<SurvivingState>& survivors);

  static SurvivingState surviving_reset(const State& state);

  PlatformDevices(const Wiring& wiring, const State& state);

  /// Puts all of them on the port bus.
  base::Status connect(devices::IoBus& ports);

  devices::Uart16550& serial() { return uart_; }
  devices::AcpiPm& power() { return acpi_pm_; }
  devices::VmGenId& generation() { return vm_gen_id_; }

  State save() const;

 private:
  KvmInterruptLine serial_irq_;
  KvmInterruptLine events_irq_;
  devices::Uart16550 uart_;
  devices::I8042 i8042_;
  devices::CmosRtc rtc_;
  devices::PvPanic pv_panic_;
  devices::AcpiPm acpi_pm_;
  devices::VmGenId vm_gen_id_;
};

}  // namespace stasis::vmm
