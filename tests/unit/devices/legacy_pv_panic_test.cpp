#include "devices/legacy/pv_panic.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/legacy_fakes.h"

namespace stasis::devices {
namespace {

using Panics = std::vector<GuestPanic>;

TEST_CASE("pvpanic: keeps the device contract") {
  FakeEvents events;
  check_device_contract<PvPanic>(
      [&](const auto& state) { return std::make_unique<PvPanic>(PvPanic::Wiring{events}, state); },
      [](PvPanic& device) { out(device, 0, 1); });
}

TEST_CASE("pvpanic: says that it knows both kinds of panic") {
  FakeEvents events;
  PvPanic device({events});
  CHECK(in(device, 0) == 3);
}

TEST_CASE("pvpanic: a write reports what its bits say") {
  const auto [value, expected] = GENERATE(table<unsigned, Panics>({{0, {}},
                                                                   {1, {GuestPanic::kPanicked}},
                                                                   {2, {GuestPanic::kCrashLoaded}},
                                                                   {3, {GuestPanic::kCrashLoaded}},
                                                                   {0xFC, {}}}));
  FakeEvents events;
  PvPanic device({events});
  out(device, 0, value);
  CHECK(events.panics == expected);
}

TEST_CASE("pvpanic: a machine saved after its panic reports it again, one with kdump does not") {
  FakeEvents events;
  PvPanic device({events});
  out(device, 0, 2);
  FakeEvents after_kdump;
  const PvPanic running({after_kdump}, device.save());
  CHECK(after_kdump.panics.empty());
  out(device, 0, 1);
  FakeEvents after_panic;
  const PvPanic dead({after_panic}, device.save());
  CHECK(after_panic.panics == Panics{GuestPanic::kPanicked});
}

}  // namespace
}  // namespace stasis::devices
