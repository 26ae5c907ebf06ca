#include "tests/fuzz/fuzz_legacy.h"

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/cmos_rtc.h"
#include "devices/legacy/i8042.h"
#include "devices/legacy/pv_panic.h"
#include "devices/legacy/uart_16550.h"
#include "devices/legacy/vm_gen_id.h"
#include "tests/unit/devices/legacy_fakes.h"

namespace stasis::fuzz {

namespace {

using Bytes = std::span<const std::uint8_t>;
using Transcript = std::vector<std::uint64_t>;

struct Step {
  std::uint8_t operation;
  std::uint8_t offset;
  std::uint8_t value;
};

/// Everything around the chips, and what of it the guest or the host can see.
struct Host {
  devices::FakeLine irq;
  devices::FakeEvents events;
  devices::FakeSink sink;
  std::timespec time{1'717'246'799, 0};
  Transcript seen;

  void pass_time(std::uint8_t amount) {
    time.tv_nsec += amount * 7'654'321L;
    time.tv_sec += time.tv_nsec / 1'000'000'000;
    time.tv_nsec %= 1'000'000'000;
  }

  void look_around() {
    seen.push_back(irq.level ? 1 : 0);
    seen.push_back(sink.text.size());
    seen.push_back(static_cast<std::uint64_t>(events.resets) << 32 | events.panics.size());
    seen.push_back(static_cast<std::uint64_t>(events.power_offs));
  }
};

/// A read or write of 1, 2 or 4 bytes, kept within `size` registers.
void access(devices::IoHandler& device, std::uint64_t size, Step step, Host& host) {
  const std::uint64_t offset = step.offset % size;
  unsigned width = 1U << (step.operation >> 2 & 3) % 3;
  while (offset + width > size) width /= 2;
  if ((step.operation & 1) == 0) {
    host.seen.push_back(device.read({offset, width}));
  } else {
    device.write({offset, width}, step.value * 0x0101'0101ULL & devices::all_ones(width));
  }
}

template <typename State>
State through_bytes(const State& state) {
  auto decoded = base::decode_state<State>(base::encode_state(state));
  STASIS_CHECK(decoded.has_value());
  STASIS_CHECK(*decoded == state);
  return std::move(*decoded);
}

/// A restored device tells of its requests again; that is no difference to be found.
template <typename Make, typename Device>
void restore(const Make& make, std::unique_ptr<Device>& device, Host& host) {
  const auto events = host.events;
  device = make(host, through_bytes(device->save()));
  host.events = events;
}

template <typename Make, typename Act>
Transcript run(Bytes data, std::optional<std::size_t> restore_at, const Make& make,
               const Act& act) {
  Host host;
  auto device = make(host, {});
  for (std::size_t step = 0; 3 * step + 2 < data.size(); ++step) {
    if (step == restore_at) restore(make, device, host);
    act(*device, Step{data[3 * step], data[3 * step + 1], data[3 * step + 2]}, host);
    host.look_around();
  }
  const auto state = base::encode_state(device->save());
  host.seen.insert(host.seen.end(), state.begin(), state.end());
  host.seen.insert(host.seen.end(), host.sink.text.begin(), host.sink.text.end());
  return host.seen;
}

template <typename Make, typename Act>
void check_restore_is_invisible(Bytes data, const Make& make, const Act& act) {
  if (data.size() < 4) return;
  const Bytes steps = data.subspan(1);
  const std::size_t restore_at = data[0] % (steps.size() / 3);
  STASIS_CHECK(run(steps, std::nullopt, make, act) == run(steps, restore_at, make, act));
}

template <typename State>
void check_accepted_state(Bytes data) {
  if (const auto state = base::decode_state<State>(data)) through_bytes(*state);
}

}  // namespace

void fuzz_uart_16550(Bytes data) {
  using devices::Uart16550;
  check_restore_is_invisible(
      data,
      [](Host& host, Uart16550::State state) {
        return std::make_unique<Uart16550>(Uart16550::Wiring{host.irq, host.sink},
                                           std::move(state));
      },
      [](Uart16550& uart, Step step, Host& host) {
        if ((step.operation & 0x30) != 0) return access(uart, Uart16550::kPorts, step, host);
        const std::vector<std::uint8_t> input(step.offset % 80, step.value);
        host.seen.push_back(uart.receive(input));
      });
}

void fuzz_i8042(Bytes data) {
  using devices::I8042;
  check_restore_is_invisible(
      data,
      [](Host& host, const I8042::State& state) {
        return std::make_unique<I8042>(I8042::Wiring{host.events}, state);
      },
      [](I8042& chip, Step step, Host& host) {
        access(step.offset % 2 == 0 ? chip.data_port() : chip.command_port(), 1, step, host);
      });
}

void fuzz_cmos_rtc(Bytes data) {
  using devices::CmosRtc;
  check_restore_is_invisible(
      data,
      [](Host& host, const CmosRtc::State& state) {
        return std::make_unique<CmosRtc>(
            CmosRtc::Wiring{[&host] { return host.time; }, 1ULL << 31, 1ULL << 32}, state);
      },
      [](CmosRtc& rtc, Step step, Host& host) {
        host.pass_time(step.operation);
        access(rtc, CmosRtc::kPorts, step, host);
      });
}

void fuzz_pv_panic(Bytes data) {
  using devices::PvPanic;
  check_restore_is_invisible(
      data,
      [](Host& host, const PvPanic::State& state) {
        return std::make_unique<PvPanic>(PvPanic::Wiring{host.events}, state);
      },
      [](PvPanic& device, Step step, Host& host) { access(device, 1, step, host); });
}

void fuzz_acpi_pm(Bytes data) {
  using devices::AcpiPm;
  check_restore_is_invisible(
      data,
      [](Host& host, const AcpiPm::State& state) {
        return std::make_unique<AcpiPm>(AcpiPm::Wiring{host.irq, host.events}, state);
      },
      [](AcpiPm& pm, Step step, Host& host) {
        if ((step.operation & 0x30) != 0) return access(pm, 16, step, host);
        (step.operation & 1) == 0 ? pm.press_power_button() : pm.announce_generation_change();
      });
}

void fuzz_legacy_states(Bytes data) {
  check_accepted_state<devices::Uart16550State>(data);
  check_accepted_state<devices::I8042State>(data);
  check_accepted_state<devices::CmosRtcState>(data);
  check_accepted_state<devices::PvPanicState>(data);
  check_accepted_state<devices::AcpiPmState>(data);
  check_accepted_state<devices::VmGenIdState>(data);
}

void fuzz_legacy(Bytes data) {
  constexpr std::array kFunctions{fuzz_uart_16550, fuzz_i8042,   fuzz_cmos_rtc,
                                  fuzz_pv_panic,   fuzz_acpi_pm, fuzz_legacy_states};
  if (!data.empty()) kFunctions[data[0] % kFunctions.size()](data.subspan(1));
}

}  // namespace stasis::fuzz
