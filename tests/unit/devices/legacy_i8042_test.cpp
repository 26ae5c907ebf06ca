#include "devices/legacy/i8042.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/legacy_fakes.h"

namespace stasis::devices {
namespace {

struct I8042Bench {
  FakeEvents events;
  std::unique_ptr<I8042> chip = make({});

  std::unique_ptr<I8042> make(const I8042State& state) {
    return std::make_unique<I8042>(I8042::Wiring{events}, state);
  }
  void command(unsigned value) { out(chip->command_port(), 0, value); }
  void data(unsigned value) { out(chip->data_port(), 0, value); }
  std::uint8_t status() { return in(chip->command_port(), 0); }
  std::uint8_t answer() { return in(chip->data_port(), 0); }
};

TEST_CASE("i8042: keeps the device contract") {
  I8042Bench bench;
  check_device_contract<I8042>([&](const auto& state) { return bench.make(state); },
                               [](I8042& chip) {
                                 out(chip.command_port(), 0, 0xAA);
                                 out(chip.command_port(), 0, 0xFE);
                                 out(chip.command_port(), 0, 0x60);
                               });
}

TEST_CASE("i8042: at rest nothing is in the output buffer and input is taken") {
  I8042Bench bench;
  CHECK((bench.status() & 0x03) == 0);
  CHECK((bench.status() & 0x10) != 0);  // not locked, or Linux complains
}

TEST_CASE("i8042: the self test passes and sets the system flag") {
  I8042Bench bench;
  bench.command(0xAA);
  CHECK((bench.status() & 0x05) == 0x05);
  CHECK(bench.answer() == 0x55);
  CHECK((bench.status() & 0x01) == 0);
}

TEST_CASE("i8042: the command byte reads back as written") {
  I8042Bench bench;
  bench.command(0x60);
  bench.data(0x47);
  bench.command(0x20);
  CHECK(bench.answer() == 0x47);
}

TEST_CASE("i8042: enabling and disabling interfaces shows in the command byte") {
  const auto [command, bit, set] = GENERATE(table<unsigned, unsigned, bool>(
      {{0xAD, 0x10, true}, {0xAE, 0x10, false}, {0xA7, 0x20, true}, {0xA8, 0x20, false}}));
  I8042Bench bench;
  bench.command(0x60);
  bench.data(set ? 0x00 : 0x30);
  bench.command(command);
  bench.command(0x20);
  CHECK(((bench.answer() & bit) != 0) == set);
}

TEST_CASE("i8042: keyboard interface is well, auxiliary port is absent but answers") {
  I8042Bench bench;
  bench.command(0xAB);
  CHECK(bench.answer() == 0x00);
  bench.command(0xA9);
  CHECK(bench.answer() == 0x01);
  bench.command(0xD3);
  bench.data(0x5A);
  CHECK((bench.status() & 0x21) == 0x01);  // full, and not from an auxiliary device
  CHECK(bench.answer() == 0x5A);
}

TEST_CASE("i8042: any pulse of output bit 0 resets the machine, others do not") {
  I8042Bench bench;
  for (unsigned command = 0xF0; command <= 0xFF; ++command) {
    CAPTURE(command);
    const int before = bench.events.resets;
    bench.command(command);
    CHECK(bench.events.resets == before + (command % 2 == 0 ? 1 : 0));
  }
}

TEST_CASE("i8042: writing output bit 0 low resets the machine") {
  I8042Bench bench;
  bench.command(0xD1);
  bench.data(0x03);
  CHECK(bench.events.resets == 0);
  bench.command(0xD1);
  bench.data(0x02);
  CHECK(bench.events.resets == 1);
}

TEST_CASE("i8042: the output port reads back, not in reset") {
  I8042Bench bench;
  bench.command(0xD1);
  bench.data(0x01);
  bench.command(0xD0);
  CHECK(bench.answer() == 0x01);
}

TEST_CASE("i8042: a byte for the absent keyboard is dropped") {
  I8042Bench bench;
  bench.data(0xF2);
  CHECK((bench.status() & 0x01) == 0);
  CHECK(bench.chip->save() == I8042State{});
}

TEST_CASE("i8042: saved in mid-command, the parameter still finds its command") {
  I8042Bench bench;
  bench.command(0x60);
  bench.chip = bench.make(bench.chip->save());
  bench.data(0x21);
  bench.command(0x20);
  CHECK(bench.answer() == 0x21);
}

TEST_CASE("i8042: saved in mid-reset, it asks for the reset again (T56)") {
  I8042Bench bench;
  bench.command(0xFE);
  const I8042State saved = bench.chip->save();
  FakeEvents restored;
  const I8042 chip({restored}, saved);
  CHECK(restored.resets == 1);
}

TEST_CASE("i8042: awaiting a parameter of a command that takes none is refused") {
  I8042State state;
  state.awaiting = 0xAA;
  const auto decoded = base::decode_state<I8042State>(base::encode_state(state));
  REQUIRE_FALSE(decoded);
  CHECK_THAT(decoded.error().message(), Catch::Contains("0xaa"));
}

}  // namespace
}  // namespace stasis::devices
