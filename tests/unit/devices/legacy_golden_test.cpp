#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/cmos_rtc.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/pv_panic.h"
#include "devices/legacy/uart_16550.h"
#include "devices/legacy/vm_gen_id.h"
#include "tests/unit/devices/golden.h"

// Every field away from its reset value, or a lost one would not be missed.
namespace stasis::devices {
namespace {

TEST_CASE("golden: uart_16550") {
  Uart16550State state;
  state.divisor = 0x1234;
  state.ier = 0x0F;
  state.fcr = 0x81;
  state.lcr = 0x03;
  state.mcr = 0x0B;
  state.scr = 0xA5;
  state.msr_deltas = 0x04;
  state.overrun = true;
  state.thre_pending = true;
  state.rx = {'h', 'i', 0x00, 0xFF};
  check_golden(1, state);
}

TEST_CASE("golden: i8042") {
  check_golden(1, I8042State{0x47, 0x01, 0x55, true, true, true, 0x60, true});
}

TEST_CASE("golden: cmos_rtc") {
  CmosRtcState state;
  state.index = 0x32;
  state.ram[0x0B] = 0x82;
  state.ram[0x0F] = 0x0A;
  state.ram[0x7F] = 0xFF;
  state.offset_seconds = -86'401;
  state.offset_nanoseconds = 999'999'999;
  state.divider_was_reset = true;
  check_golden(1, state);
}

TEST_CASE("golden: pvpanic") {
  check_golden(1, PvPanicState{true});
}

TEST_CASE("golden: acpi_pm") {
  check_golden(1, AcpiPmState{5, true, AcpiPm::kGenerationEvent, PowerRequest::kPowerOff});
}

TEST_CASE("golden: vm_gen_id") {
  check_golden(1, VmGenIdState{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255}});
}

}  // namespace
}  // namespace stasis::devices
