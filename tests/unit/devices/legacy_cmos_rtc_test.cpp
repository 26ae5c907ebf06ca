#include "devices/legacy/cmos_rtc.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/legacy_fakes.h"

namespace stasis::devices {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct CmosRtcBench {
  std::timespec host{1'717'246'799, 0};  // Saturday 2024-06-01 12:59:59 UTC
  std::uint64_t low_ram = 256 * kMiB;
  std::uint64_t high_ram = 0;
  std::unique_ptr<CmosRtc> rtc = make({});

  std::unique_ptr<CmosRtc> make(const CmosRtcState& state) {
    return std::make_unique<CmosRtc>(CmosRtc::Wiring{[this] { return host; }, low_ram, high_ram},
                                     state);
  }
  unsigned get(unsigned reg) {
    out(*rtc, 0, reg);
    return in(*rtc, 1);
  }
  void set(unsigned reg, unsigned value) {
    out(*rtc, 0, reg);
    out(*rtc, 1, value);
  }
  void restore() { rtc = make(rtc->save()); }
};

TEST_CASE("rtc: keeps the device contract") {
  CmosRtcBench bench;
  check_device_contract<CmosRtc>([&](const auto& state) { return bench.make(state); },
                                 [](CmosRtc& rtc) {
                                   out(rtc, 0, 0x09);
                                   out(rtc, 1, 0x30);
                                   out(rtc, 0, 0x0A);
                                   out(rtc, 1, 0x76);
                                   out(rtc, 0, 0x0F);
                                   out(rtc, 1, 0x0A);
                                 });
}

TEST_CASE("rtc: tells the host's time in BCD, 24 hours, UTC") {
  CmosRtcBench bench;
  CHECK(bench.get(0x00) == 0x59);
  CHECK(bench.get(0x02) == 0x59);
  CHECK(bench.get(0x04) == 0x12);
  CHECK(bench.get(0x06) == 0x07);
  CHECK(bench.get(0x07) == 0x01);
  CHECK(bench.get(0x08) == 0x06);
  CHECK(bench.get(0x09) == 0x24);
  CHECK(bench.get(0x32) == 0x20);
}

TEST_CASE("rtc: tells it in binary when asked") {
  CmosRtcBench bench;
  bench.set(0x0B, 0x06);
  CHECK(bench.get(0x00) == 59);
  CHECK(bench.get(0x09) == 24);
  CHECK(bench.get(0x32) == 20);
}

TEST_CASE("rtc: in 12-hour format noon is 12 PM and midnight 12 AM") {
  const auto [hour, bcd, binary] = GENERATE(table<int, unsigned, unsigned>(
      {{0, 0x12, 12}, {1, 0x01, 1}, {11, 0x11, 11}, {12, 0x92, 0x8C}, {23, 0x91, 0x8B}}));
  CAPTURE(hour);
  CmosRtcBench bench;
  bench.host.tv_sec += (hour - 12) * 3600;
  bench.set(0x0B, 0x00);
  CHECK(bench.get(0x04) == bcd);
  bench.set(0x0B, 0x04);
  CHECK(bench.get(0x04) == binary);
}

TEST_CASE("rtc: hours set in 12-hour format come back in both") {
  const auto [written, hour] =
      GENERATE(table<unsigned, unsigned>({{0x12, 0x00}, {0x01, 0x01}, {0x92, 0x12}, {0x91, 0x23}}));
  CmosRtcBench bench;
  bench.set(0x0B, 0x00);
  bench.set(0x04, written);
  CHECK(bench.get(0x04) == written);
  bench.set(0x0B, 0x02);
  CHECK(bench.get(0x04) == hour);
}

TEST_CASE("rtc: shows an update in progress just before a second ends") {
  CmosRtcBench bench;
  bench.host.tv_nsec = 997'771'999;
  CHECK((bench.get(0x0A) & 0x80) == 0);
  bench.host.tv_nsec = 997'772'000;
  CHECK((bench.get(0x0A) & 0x80) != 0);
  bench.set(0x0B, 0x82);
  CHECK((bench.get(0x0A) & 0x80) == 0);
}

TEST_CASE("rtc: SET holds the time still, and clearing it goes on from there") {
  CmosRtcBench bench;
  bench.set(0x0B, 0x82);
  bench.host.tv_sec += 10;
  CHECK(bench.get(0x00) == 0x59);
  bench.set(0x00, 0x30);
  bench.set(0x0B, 0x02);
  bench.host.tv_sec += 2;
  CHECK(bench.get(0x00) == 0x32);
}

TEST_CASE("rtc: the guest can set any date, century included, and it survives a restore") {
  CmosRtcBench bench;
  bench.set(0x0B, 0x82);
  bench.set(0x32, 0x21);
  bench.set(0x09, 0x00);
  bench.set(0x08, 0x02);
  bench.set(0x07, 0x28);
  bench.set(0x04, 0x23);
  bench.set(0x02, 0x59);
  bench.set(0x00, 0x59);
  bench.restore();
  bench.set(0x0B, 0x02);
  bench.host.tv_sec += 1;
  bench.restore();
  CHECK(bench.get(0x07) == 0x01);  // 2100 is no leap year
  CHECK(bench.get(0x08) == 0x03);
  CHECK(bench.get(0x09) == 0x00);
  CHECK(bench.get(0x32) == 0x21);
}

TEST_CASE("rtc: a date before the host's epoch and after 2262 is kept") {
  const auto century = GENERATE(0x00U, 0x18U, 0x19U, 0x99U);
  CmosRtcBench bench;
  bench.set(0x32, century);
  CHECK(bench.get(0x32) == century);
  CHECK(bench.get(0x09) == 0x24);
  CHECK(bench.get(0x02) == 0x59);
}

TEST_CASE("rtc: setting a register leaves the phase of the second alone") {
  CmosRtcBench bench;
  bench.host.tv_nsec = 700'000'000;
  bench.set(0x00, 0x10);
  bench.host.tv_nsec = 999'999'999;
  CHECK(bench.get(0x00) == 0x10);
  bench.host = {bench.host.tv_sec + 1, 0};
  CHECK(bench.get(0x00) == 0x11);
}

TEST_CASE("rtc: after the divider's reset the first second takes half as long") {
  CmosRtcBench bench;
  bench.host.tv_nsec = 900'000'000;
  bench.set(0x0A, 0x76);
  bench.set(0x00, 0x10);
  bench.host.tv_sec += 5;
  bench.set(0x0A, 0x26);
  bench.host = {bench.host.tv_sec + 1, 399'999'999};
  CHECK(bench.get(0x00) == 0x10);
  bench.host.tv_nsec = 400'000'000;
  CHECK(bench.get(0x00) == 0x11);
}

TEST_CASE("rtc: rubbish in the time registers does no harm") {
  CmosRtcBench bench;
  bench.set(0x0B, 0x82);
  for (unsigned reg = 0; reg < 10; ++reg) bench.set(reg, 0xFF);
  bench.set(0x32, 0xFF);
  bench.set(0x0B, 0x02);
  const auto state = bench.rtc->save();
  CHECK(state.validate().has_value());
  CHECK(bench.get(0x08) <= 0x12);
}

TEST_CASE("rtc: status registers C and D read as no interrupt and a good battery") {
  CmosRtcBench bench;
  bench.set(0x0C, 0xFF);
  bench.set(0x0D, 0x00);
  CHECK(bench.get(0x0C) == 0);
  CHECK(bench.get(0x0D) == 0x80);
}

TEST_CASE("rtc: alarm and shutdown byte are RAM, the index's top bit is not part of it") {
  CmosRtcBench bench;
  bench.set(0x01, 0x30);
  bench.set(0x8F, 0x0A);
  CHECK(bench.get(0x01) == 0x30);
  CHECK(bench.get(0x0F) == 0x0A);
}

TEST_CASE("rtc: tells the size of memory") {
  CmosRtcBench bench;
  bench.low_ram = 3072 * kMiB;
  bench.high_ram = 3072 * kMiB;
  bench.restore();
  const auto word = [&](unsigned low) { return bench.get(low) | bench.get(low + 1) << 8; };
  CHECK(word(0x15) == 640);
  CHECK(word(0x17) == 0xFFFF);
  CHECK(word(0x30) == 0xFFFF);
  CHECK(word(0x34) == (3072 - 16) * 16);
  CHECK(word(0x5B) == 3072 * 16 % 0x10000);
  CHECK(bench.get(0x5D) == 3072 * 16 / 0x10000);
  bench.set(0x15, 0);
  CHECK(word(0x15) == 640);
}

TEST_CASE("rtc: a machine reset keeps the time and RAM and drops interrupt enables") {
  CmosRtcState state;
  state.offset_seconds = 77;
  state.ram[0x0B] = 0x7E;
  state.ram[0x40] = 9;
  const CmosRtcState after = CmosRtc::after_reset(state);
  CHECK(after.ram[0x0B] == 0x06);
  CHECK(after.ram[0x40] == 9);
  CHECK(after.offset_seconds == 77);
}

TEST_CASE("rtc: the host's clock is about now") {
  CHECK(CmosRtc::host_clock()().tv_sec >= 1'700'000'000);
}

TEST_CASE("rtc: a clock set back goes on where it was, to the nanosecond") {
  CmosRtcBench bench;
  bench.rtc = bench.make({.offset_seconds = 100, .offset_nanoseconds = 250'000'000});
  const CmosRtcState before = bench.rtc->save();
  const CmosRtcState later = CmosRtc::set_back(before, 3'600'400'000'000);
  CHECK(later.offset_seconds == 100 - 3601);
  CHECK(later.offset_nanoseconds == 850'000'000);
  CHECK(later.validate());
  CHECK(CmosRtc::set_back(later, -3'600'400'000'000) == before);
}

TEST_CASE("rtc: a clock set back too far stops at the limit") {
  CmosRtcState state;
  for (int i = 0; i < 10'000; ++i) state = CmosRtc::set_back(state, INT64_MAX);
  CHECK(state.validate());
}

TEST_CASE("rtc: a state out of range is refused") {
  CmosRtcState state;
  SECTION("index") {
    state.index = 128;
  }
  SECTION("nanoseconds") {
    state.offset_nanoseconds = 1'000'000'000;
  }
  SECTION("seconds") {
    state.offset_seconds = INT64_MIN;
  }
  CHECK_FALSE(base::decode_state<CmosRtcState>(base::encode_state(state)));
}

}  // namespace
}  // namespace stasis::devices
