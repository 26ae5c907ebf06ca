#include "devices/legacy/acpi_pm.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/legacy_fakes.h"

// Section numbers are those of ACPI 6.4.
namespace stasis::devices {
namespace {

struct AcpiPmBench {
  FakeLine irq;
  FakeEvents events;
  std::unique_ptr<AcpiPm> pm = make({});

  std::unique_ptr<AcpiPm> make(const AcpiPmState& state) {
    return std::make_unique<AcpiPm>(AcpiPm::Wiring{irq, events}, state);
  }
};

constexpr unsigned kSleepEnable = 0x20;

TEST_CASE("acpi-pm: keeps the device contract") {
  AcpiPmBench bench;
  check_device_contract<AcpiPm>([&](const auto& state) { return bench.make(state); },
                                [](AcpiPm& pm) {
                                  pm.press_power_button();
                                  out(pm, AcpiPm::kSleepControl, 5 << 2 | kSleepEnable);
                                });
}

TEST_CASE("acpi-pm: entering S5 switches the machine off (4.8.3.7)") {
  AcpiPmBench bench;
  out(*bench.pm, AcpiPm::kSleepControl, AcpiPm::kSleepTypeS5 << 2);
  CHECK(bench.events.power_offs == 0);
  out(*bench.pm, AcpiPm::kSleepControl, AcpiPm::kSleepTypeS5 << 2 | kSleepEnable);
  CHECK(bench.events.power_offs == 1);
  CHECK(bench.events.resets == 0);
}

TEST_CASE("acpi-pm: other sleep types are ignored, SLP_EN reads as zero") {
  AcpiPmBench bench;
  out(*bench.pm, AcpiPm::kSleepControl, 3 << 2 | kSleepEnable);
  CHECK(bench.events.power_offs == 0);
  CHECK(in(*bench.pm, AcpiPm::kSleepControl) == 3 << 2);
}

TEST_CASE("acpi-pm: writing one clears the wake status (4.8.3.7)") {
  AcpiPmBench bench;
  AcpiPmState state;
  state.wake_status = true;
  bench.pm = bench.make(state);
  out(*bench.pm, AcpiPm::kSleepStatus, 0x7F);
  CHECK(in(*bench.pm, AcpiPm::kSleepStatus) == 0x80);
  out(*bench.pm, AcpiPm::kSleepStatus, 0x80);
  CHECK(in(*bench.pm, AcpiPm::kSleepStatus) == 0);
}

TEST_CASE("acpi-pm: only the reset value resets (4.8.3.6)") {
  AcpiPmBench bench;
  for (unsigned value = 0; value < 256; ++value) out(*bench.pm, AcpiPm::kReset, value);
  CHECK(bench.events.resets == 1);
  CHECK(in(*bench.pm, AcpiPm::kReset) == 0);
}

TEST_CASE("acpi-pm: events hold the line until they are read, once") {
  AcpiPmBench bench;
  bench.pm->press_power_button();
  bench.pm->announce_generation_change();
  bench.pm->press_power_button();
  CHECK(bench.irq.level);
  CHECK(in(*bench.pm, AcpiPm::kEvents) == (AcpiPm::kPowerButtonEvent | AcpiPm::kGenerationEvent));
  CHECK_FALSE(bench.irq.level);
  CHECK(in(*bench.pm, AcpiPm::kEvents) == 0);
}

TEST_CASE("acpi-pm: an event that was not read is told after a restore") {
  AcpiPmBench bench;
  bench.pm->press_power_button();
  const AcpiPmState saved = bench.pm->save();
  bench.irq = {};
  bench.pm = bench.make(saved);
  CHECK(bench.irq.level);
  CHECK(in(*bench.pm, AcpiPm::kEvents) == AcpiPm::kPowerButtonEvent);
  CHECK_FALSE(bench.irq.level);
}

TEST_CASE("acpi-pm: a request under way is made again after a restore (T56)") {
  AcpiPmBench bench;
  out(*bench.pm, AcpiPm::kReset, AcpiPm::kResetValue);
  bench.pm = bench.make(bench.pm->save());
  CHECK(bench.events.resets == 2);
  bench.pm = bench.make({});
  out(*bench.pm, AcpiPm::kSleepControl, AcpiPm::kSleepTypeS5 << 2 | kSleepEnable);
  bench.pm = bench.make(bench.pm->save());
  CHECK(bench.events.power_offs == 2);
  CHECK(bench.events.resets == 2);
}

TEST_CASE("acpi-pm: registers that do not exist read zero and take anything") {
  AcpiPmBench bench;
  out(*bench.pm, 15, 0xFF);
  CHECK(in(*bench.pm, 15) == 0);
  CHECK(bench.pm->save() == AcpiPmState{});
}

TEST_CASE("acpi-pm: a state out of range is refused") {
  AcpiPmState state;
  SECTION("sleep type") {
    state.sleep_type = 8;
  }
  SECTION("events") {
    state.events = 4;
  }
  SECTION("request") {
    state.request = static_cast<PowerRequest>(3);
  }
  CHECK_FALSE(base::decode_state<AcpiPmState>(base::encode_state(state)));
}

}  // namespace
}  // namespace stasis::devices
