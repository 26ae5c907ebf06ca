#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <functional>
#include <mutex>
#include <string_view>

#include "base/result.h"
#include "devices/checkpointable.h"
#include "devices/legacy/byte_io_handler.h"

namespace stasis::devices {

struct CmosRtcState {
  static constexpr std::string_view kName = "cmos_rtc";
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::size_t kSize = 128;

  static constexpr std::array<std::uint8_t, kSize> reset_ram() {
    std::array<std::uint8_t, kSize> ram{};
    ram[0x0A] = 0x26;  // 32.768 kHz time base, 1024 Hz periodic rate
    ram[0x0B] = 0x02;  // 24 hours, BCD
    return ram;
  }

  std::uint8_t index = 0;  ///< register that port 0x71 reaches, 0..127
  /// All registers and RAM. Those of the time count only while the clock is stopped.
  std::array<std::uint8_t, kSize> ram = reset_ram();
  std::int64_t offset_seconds = 0;       ///< guest's time less the host's
  std::uint32_t offset_nanoseconds = 0;  ///< added to that, below 1e9
  bool divider_was_reset = false;        ///< while the clock was stopped

  bool operator==(const CmosRtcState&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a, b, c, d, e] = self;
    fields("index", a)("ram", b)("offset_seconds", c)("offset_nanoseconds", d)("divider_was_reset",
                                                                               e);
  }
  base::Status validate() const;
};

/// Real-time clock and CMOS RAM of a PC (Motorola MC146818A data sheet, "Registers"; PC/AT CMOS map
/// for the RAM): an index register at offset 0, the indexed register at offset 1. UTC. BCD or
/// binary, 12 or 24 hours, update-in-progress, stopping by SET or the divider, century in 0x32 (the
/// FADT's CENTURY field), memory sizes in 0x15-0x18, 0x30-0x31, 0x34-0x35 and 0x5B-0x5D (read-only,
/// from the wiring), shutdown byte 0x0F as plain RAM.
///
/// The time is the host's plus an offset that the guest sets by setting the clock, so a restored
/// guest reads the present. Impossible dates are carried over (31 February is 3 March); the day of
/// the week follows from the date.
///
/// Missing: IRQ 8 and with it alarm, periodic and update-ended interrupts: alarm registers and
/// enable bits are stored, register C always reads 0. Linux needs none of them (it says "no alarms"
/// when the DSDT gives the device no interrupt). Daylight saving.
///
/// Threads: any. Saved: CmosRtcState. Not saved: the host's time.
class CmosRtc final : public ByteIoHandler {
 public:
  using Clock = std::function<std::timespec()>;
  static constexpr std::uint64_t kPorts = 2;
  static constexpr std::uint8_t kCenturyRegister = 0x32;

  using State = CmosRtcState;
  struct Wiring {
    Clock clock;                   ///< UTC since the epoch; called under the device's lock
    std::uint64_t low_ram_bytes;   ///< below 4 GiB
    std::uint64_t high_ram_bytes;  ///< above
  };

  /// The host's clock (CLOCK_REALTIME).
  static Clock host_clock();

  explicit CmosRtc(Wiring wiring, State state = {});

  /// What a machine reset leaves of `state`: all that the battery keeps, without interrupt enables.
  static State after_reset(State state);

  /// `state` with its time set back by `nanoseconds` (which may be negative): for a clock that
  /// shall not have gone on while nobody looked.
  static State set_back(State state, std::int64_t nanoseconds);

  std::string_view name() const override { return "cmos-rtc"; }
  State save() const;

 private:
  std::uint8_t read_byte(std::uint64_t offset) override;
  void write_byte(std::uint64_t offset, std::uint8_t value) override;
  std::uint8_t read_indexed() const;

  const Wiring wiring_;
  mutable std::mutex mutex_;
  State state_;  // guarded by mutex_
};
static_assert(Checkpointable<CmosRtc>);

}  // namespace stasis::devices
