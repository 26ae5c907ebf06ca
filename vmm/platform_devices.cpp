#include "vmm/platform_devices.h"

#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

/// RAM below (`low`) or above the 32-bit hole, for the CMOS bytes that tell its size.
std::uint64_t ram_bytes(const base::GuestMemory& memory, bool low) {
  std::uint64_t sum = 0;
  for (const auto& region : memory.regions()) {
    if ((region.start.value < layout::kLowRamEnd) == low) sum += region.bytes.size();
  }
  return sum;
}

}  // namespace

base::Result<PlatformState> PlatformDevices::first_state(
    const std::optional<SurvivingState>& survivors) {
  State state;
  if (survivors) {
    state.rtc = survivors->rtc;
    state.vm_gen_id = survivors->vm_gen_id;
  } else {
    state.vm_gen_id = TRY(devices::VmGenId::random_state());
  }
  return state;
}

SurvivingState PlatformDevices::surviving_reset(const State& state) {
  return {devices::CmosRtc::after_reset(state.rtc), state.vm_gen_id};
}

PlatformDevices::PlatformDevices(const Wiring& wiring, const State& state)
    : serial_irq_(wiring.vm, layout::kCom1Gsi),
      events_irq_(wiring.vm, layout::kEventsGsi),
      uart_({serial_irq_, wiring.serial_output}, state.uart),
      i8042_({wiring.events}, state.i8042),
      rtc_({devices::CmosRtc::host_clock(), ram_bytes(wiring.memory, true),
            ram_bytes(wiring.memory, false)},
           state.rtc),
      pv_panic_({wiring.events}, state.pv_panic),
      acpi_pm_({events_irq_, wiring.events}, state.acpi_pm),
      vm_gen_id_({wiring.memory, {layout::kVmGenId}, acpi_pm_}, state.vm_gen_id) {}

base::Status PlatformDevices::connect(devices::IoBus& ports) {
  TRY(ports.add(layout::kCom1, devices::Uart16550::kPorts, uart_));
  TRY(ports.add(layout::kI8042, 1, i8042_.data_port()));
  TRY(ports.add(layout::kI8042 + 4, 1, i8042_.command_port()));
  TRY(ports.add(layout::kCmos, devices::CmosRtc::kPorts, rtc_));
  TRY(ports.add(layout::kPvPanic, 1, pv_panic_));
  return ports.add(layout::kAcpiPm, layout::kAcpiPmSize, acpi_pm_);
}

PlatformState PlatformDevices::save() const {
  return {uart_.save(),     i8042_.save(),   rtc_.save(),
          pv_panic_.save(), acpi_pm_.save(), vm_gen_id_.save()};
}

}  // namespace stasis::vmm
