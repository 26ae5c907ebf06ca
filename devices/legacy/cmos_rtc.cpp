#include "devices/legacy/cmos_rtc.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace stasis::devices {

namespace {

constexpr std::uint8_t kSeconds = 0x00;
constexpr std::uint8_t kMinutes = 0x02;
constexpr std::uint8_t kHours = 0x04;
constexpr std::uint8_t kDayOfWeek = 0x06;
constexpr std::uint8_t kDayOfMonth = 0x07;
constexpr std::uint8_t kMonth = 0x08;
constexpr std::uint8_t kYear = 0x09;
constexpr std::uint8_t kRegisterA = 0x0A;
constexpr std::uint8_t kRegisterB = 0x0B;
constexpr std::uint8_t kRegisterC = 0x0C;
constexpr std::uint8_t kRegisterD = 0x0D;

constexpr std::uint8_t kUpdateInProgress = 0x80;  // A
constexpr std::uint8_t kDividerReset = 0x60;      // A: both bits
constexpr std::uint8_t kSet = 0x80;               // B
constexpr std::uint8_t kInterruptEnables = 0x70;  // B
constexpr std::uint8_t kUpdateInterrupt = 0x10;   // B
constexpr std::uint8_t kSquareWave = 0x08;        // B
constexpr std::uint8_t kBinary = 0x04;            // B
constexpr std::uint8_t k24Hours = 0x02;           // B
constexpr std::uint8_t kValid = 0x80;             // D
constexpr std::uint8_t kAfternoon = 0x80;         // hours register

constexpr std::int64_t kNanoseconds = 1'000'000'000;
// Data sheet, table 6: UIP shows 244 us before an update of 1984 us (32.768 kHz time base).
constexpr std::int64_t kUpdateTime = 244'000 + 1'984'000;
constexpr std::int64_t kOffsetLimit =
    1'000'000'000'000;  // 31 700 years: any date registers can say

bool is_stopped(const CmosRtcState& s) {
  return (s.ram[kRegisterB] & kSet) != 0 || (s.ram[kRegisterA] & kDividerReset) == kDividerReset;
}

bool is_time_register(std::uint8_t reg) {
  return reg == kSeconds || reg == kMinutes || reg == kHours ||
         (reg >= kDayOfWeek && reg <= kYear) || reg == CmosRtc::kCenturyRegister;
}

std::uint8_t to_register(std::uint8_t b, int value) {
  const int two_digits = (value % 100 + 100) % 100;
  if ((b & kBinary) != 0) return static_cast<std::uint8_t>(two_digits);
  return static_cast<std::uint8_t>(two_digits / 10 << 4 | two_digits % 10);
}

int from_register(std::uint8_t b, std::uint8_t value) {
  return (b & kBinary) != 0 ? value : (value >> 4) * 10 + (value & 0x0F);
}

std::uint8_t hours_to_register(std::uint8_t b, int hours) {
  if ((b & k24Hours) != 0) return to_register(b, hours);
  const int of_twelve = hours % 12 == 0 ? 12 : hours % 12;
  return static_cast<std::uint8_t>(to_register(b, of_twelve) | (hours >= 12 ? kAfternoon : 0));
}

int hours_from_register(std::uint8_t b, std::uint8_t value) {
  if ((b & k24Hours) != 0) return from_register(b, value);
  const int of_twelve = from_register(b, value & static_cast<std::uint8_t>(~kAfternoon)) % 12;
  return of_twelve + ((value & kAfternoon) != 0 ? 12 : 0);
}

std::timespec guest_time(const CmosRtcState& s, std::timespec host) {
  const std::int64_t nanoseconds = host.tv_nsec + std::int64_t{s.offset_nanoseconds};
  return {host.tv_sec + s.offset_seconds + nanoseconds / kNanoseconds, nanoseconds % kNanoseconds};
}

void set_guest_time(CmosRtcState& s, std::timespec guest, std::timespec host) {
  const std::int64_t nanoseconds = guest.tv_nsec - host.tv_nsec;
  const bool borrow = nanoseconds < 0;
  s.offset_seconds = guest.tv_sec - host.tv_sec - (borrow ? 1 : 0);
  s.offset_nanoseconds = static_cast<std::uint32_t>(nanoseconds + (borrow ? kNanoseconds : 0));
}

std::uint8_t time_register(std::uint8_t b, std::uint8_t reg, const std::tm& time) {
  switch (reg) {
    case kSeconds:
      return to_register(b, time.tm_sec);
    case kMinutes:
      return to_register(b, time.tm_min);
    case kHours:
      return hours_to_register(b, time.tm_hour);
    case kDayOfWeek:
      return to_register(b, time.tm_wday + 1);  // 1 is Sunday
    case kDayOfMonth:
      return to_register(b, time.tm_mday);
    case kMonth:
      return to_register(b, time.tm_mon + 1);
    case kYear:
      return to_register(b, time.tm_year);
    default:
      return to_register(b, (time.tm_year + 1900) / 100);
  }
}

std::tm broken_down(std::time_t seconds) {
  std::tm time{};
  ::gmtime_r(&seconds, &time);
  return time;
}

/// The running time into the registers, where it stays until the clock starts again.
void stop(CmosRtcState& s, std::timespec host) {
  const std::tm time = broken_down(guest_time(s, host).tv_sec);
  for (unsigned reg = 0; reg < CmosRtcState::kSize; ++reg) {
    const auto number = static_cast<std::uint8_t>(reg);
    if (is_time_register(number)) s.ram[reg] = time_register(s.ram[kRegisterB], number, time);
  }
}

/// Runs on from what the registers say. The first update comes half a second after the divider's
/// reset ends (data sheet, "Divider control"); without one, seconds keep their phase.
void start(CmosRtcState& s, std::timespec host) {
  const std::uint8_t b = s.ram[kRegisterB];
  const auto number = [&](std::uint8_t reg) { return from_register(b, s.ram[reg]); };
  std::tm time{};
  time.tm_sec = number(kSeconds);
  time.tm_min = number(kMinutes);
  time.tm_hour = hours_from_register(b, s.ram[kHours]);
  time.tm_mday = number(kDayOfMonth);
  time.tm_mon = number(kMonth) - 1;
  time.tm_year = number(CmosRtc::kCenturyRegister) * 100 + number(kYear) - 1900;
  const std::int64_t phase =
      std::exchange(s.divider_was_reset, false) ? kNanoseconds / 2 : guest_time(s, host).tv_nsec;
  set_guest_time(s, {::timegm(&time), phase}, host);
}

void write_time(CmosRtcState& s, std::uint8_t reg, std::uint8_t value, std::timespec host) {
  const bool stopped = is_stopped(s);
  if (!stopped) stop(s, host);
  s.ram[reg] = value;
  if (!stopped) start(s, host);
}

/// Registers A and B. The format bits take effect after stopping and before starting: bytes in the
/// registers are never converted.
void write_control(CmosRtcState& s, std::uint8_t reg, std::uint8_t value, std::timespec host) {
  CmosRtcState next = s;
  next.ram[reg] = value;
  const bool was_stopped = is_stopped(s);
  if (!was_stopped && is_stopped(next)) stop(s, host);
  s.ram[reg] = value;
  if ((s.ram[kRegisterA] & kDividerReset) == kDividerReset) s.divider_was_reset = true;
  if (was_stopped && !is_stopped(s)) start(s, host);
}

/// Byte `shift / 8` of a size in the CMOS map, when `reg` is part of one.
std::optional<std::uint8_t> memory_size_byte(const CmosRtc::Wiring& wiring, std::uint8_t reg) {
  const auto above = [&](std::uint64_t start, std::uint64_t unit, unsigned shift) {
    const std::uint64_t size = wiring.low_ram_bytes - std::min(wiring.low_ram_bytes, start);
    return static_cast<std::uint8_t>(std::min<std::uint64_t>(size / unit, 0xFFFF) >> shift);
  };
  constexpr std::uint64_t kKiB = 1024;
  const std::uint64_t base_kib = std::min<std::uint64_t>(wiring.low_ram_bytes / kKiB, 640);
  switch (reg) {
    case 0x15:  // below 640 KiB, in KiB
    case 0x16:
      return static_cast<std::uint8_t>(base_kib >> (reg == 0x15 ? 0 : 8));
    case 0x17:  // above 1 MiB, in KiB
    case 0x18:
      return above(1024 * kKiB, kKiB, reg == 0x17 ? 0 : 8);
    case 0x30:
    case 0x31:
      return above(1024 * kKiB, kKiB, reg == 0x30 ? 0 : 8);
    case 0x34:  // above 16 MiB, in 64 KiB
    case 0x35:
      return above(16 * 1024 * kKiB, 64 * kKiB, reg == 0x34 ? 0 : 8);
    case 0x5B:  // above 4 GiB, in 64 KiB
    case 0x5C:
    case 0x5D:
      return static_cast<std::uint8_t>(wiring.high_ram_bytes / (64 * kKiB) >> (8 * (reg - 0x5B)));
    default:
      return std::nullopt;
  }
}

void write_register(CmosRtcState& s, std::uint8_t value, std::timespec host) {
  const std::uint8_t reg = s.index;
  if (is_time_register(reg)) return write_time(s, reg, value, host);
  if (reg == kRegisterA) {
    return write_control(s, reg, value & static_cast<std::uint8_t>(~kUpdateInProgress), host);
  }
  if (reg == kRegisterB) {
    const auto cleared = static_cast<std::uint8_t>((value & kSet) != 0 ? kUpdateInterrupt : 0);
    return write_control(s, reg, static_cast<std::uint8_t>(value & ~cleared), host);
  }
  if (reg != kRegisterC && reg != kRegisterD) s.ram[reg] = value;
}

}  // namespace

base::Status CmosRtcState::validate() const {
  const auto bad = [](std::string_view name, auto value) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("{}: {} is out of range", name, value));
  };
  if (index >= kSize) return bad("index", index);
  if (offset_nanoseconds >= kNanoseconds) return bad("offset_nanoseconds", offset_nanoseconds);
  if (offset_seconds > kOffsetLimit || offset_seconds < -kOffsetLimit) {
    return bad("offset_seconds", offset_seconds);
  }
  return {};
}

CmosRtc::Clock CmosRtc::host_clock() {
  return [] {
    std::timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
  };
}

CmosRtc::CmosRtc(Wiring wiring, State state) : wiring_(std::move(wiring)), state_(state) {}

CmosRtc::State CmosRtc::after_reset(State state) {
  // Data sheet, "RESET": clears the enables and the square wave, nothing of the time.
  state.ram[kRegisterB] &= static_cast<std::uint8_t>(~(kInterruptEnables | kSquareWave));
  return state;
}

CmosRtc::State CmosRtc::set_back(State state, std::int64_t nanoseconds) {
  std::int64_t seconds = nanoseconds / kNanoseconds;
  std::int64_t rest = std::int64_t{state.offset_nanoseconds} - nanoseconds % kNanoseconds;
  if (rest < 0) {
    rest += kNanoseconds;
    ++seconds;
  } else if (rest >= kNanoseconds) {
    rest -= kNanoseconds;
    --seconds;
  }
  state.offset_nanoseconds = static_cast<std::uint32_t>(rest);
  state.offset_seconds = std::clamp(state.offset_seconds - seconds, -kOffsetLimit, kOffsetLimit);
  return state;
}

CmosRtc::State CmosRtc::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

std::uint8_t CmosRtc::read_byte(std::uint64_t offset) {
  if (offset == 0) return 0xFF;  // the index is write-only
  const std::lock_guard lock(mutex_);
  return read_indexed();
}

std::uint8_t CmosRtc::read_indexed() const {
  const std::uint8_t reg = state_.index;
  const bool runs = !is_stopped(state_);
  if (const auto size = memory_size_byte(wiring_, reg)) return *size;
  if (reg == kRegisterC) return 0;
  if (reg == kRegisterD) return kValid;
  if (!runs || !(is_time_register(reg) || reg == kRegisterA)) return state_.ram[reg];
  const std::timespec now = guest_time(state_, wiring_.clock());
  if (reg != kRegisterA) return time_register(state_.ram[kRegisterB], reg, broken_down(now.tv_sec));
  const bool updating = now.tv_nsec >= kNanoseconds - kUpdateTime;
  return static_cast<std::uint8_t>(state_.ram[reg] | (updating ? kUpdateInProgress : 0));
}

void CmosRtc::write_byte(std::uint64_t offset, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == 0) {
    state_.index = value & 0x7F;  // bit 7 masks NMI, of which there are none
  } else {
    write_register(state_, value, wiring_.clock());
  }
}

}  // namespace stasis::devices
