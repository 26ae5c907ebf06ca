#include "devices/io_bus.h"

#include <catch2/catch.hpp>

namespace stasis::devices {
namespace {

class AccessRecorder : public IoHandler {
 public:
  std::string_view name() const override { return "recorder"; }
  std::uint64_t read(IoAccess access) override { return 0x1122334455667700 + access.offset; }
  void write(IoAccess access, std::uint64_t value) override {
    offset = access.offset;
    written = value;
  }
  std::uint64_t offset = 0;
  std::uint64_t written = 0;
};

TEST_CASE("an access reaches its handler with the offset into the range") {
  IoBus bus;
  AccessRecorder device;
  REQUIRE(bus.add(0x100, 8, device));
  CHECK(bus.read(0x103, 1) == 0x03);
  CHECK(bus.read(0x100, 4) == 0x55667700);
  bus.write(0x107, 1, 0xABCD);
  CHECK(device.offset == 7);
  CHECK(device.written == 0xCD);
}

TEST_CASE("nobody's address reads all ones") {
  IoBus bus;
  AccessRecorder device;
  REQUIRE(bus.add(0x100, 8, device));
  CHECK(bus.read(0xFF, 1) == 0xFF);
  CHECK(bus.read(0x108, 2) == 0xFFFF);
  CHECK(bus.read(0x106, 4) == 0xFFFFFFFF);
  CHECK(bus.read(0x106, 8) == ~std::uint64_t{0});
  bus.write(0x108, 1, 1);
  CHECK(device.written == 0);
}

TEST_CASE("overlapping, empty and wrapping ranges are refused") {
  IoBus bus;
  AccessRecorder device;
  REQUIRE(bus.add(0x100, 8, device));
  CHECK_FALSE(bus.add(0x107, 1, device));
  CHECK_FALSE(bus.add(0xF0, 0x11, device));
  CHECK_FALSE(bus.add(0xF0, 0x100, device));
  CHECK_FALSE(bus.add(0x200, 0, device));
  CHECK_FALSE(bus.add(~std::uint64_t{0}, 2, device));
  CHECK(bus.add(0x108, 1, device));
  CHECK(bus.add(0xFF, 1, device));
}

}  // namespace
}  // namespace stasis::devices
