#include "devices/pci/msix_table.h"

#include <linux/pci_regs.h>

#include <catch2/catch.hpp>

#include "tests/unit/devices/fake_interrupts.h"

namespace stasis::devices {
namespace {

constexpr std::uint16_t kEnable = PCI_MSIX_FLAGS_ENABLE;
constexpr std::uint16_t kMaskAll = PCI_MSIX_FLAGS_MASKALL;

struct Table {
  testing::FakeMsiVectors vectors;
  std::unique_ptr<MsixTable> msix = MsixTable::create(vectors, 3).value();

  void program(unsigned vector, std::uint32_t address, std::uint32_t data) {
    msix->write_table({vector * 16ULL, 4}, address);
    msix->write_table({vector * 16ULL + 8, 4}, data);
  }
  void mask(unsigned vector, bool masked) {
    msix->write_table({vector * 16ULL + 12, 4}, masked ? 1 : 0);
  }
  std::uint64_t pending() const { return msix->read_pending({0, 8}); }
};

TEST_CASE_METHOD(Table, "message control has the table's size and two writable bits") {
  CHECK(msix->control() == 2);
  msix->set_control(0xFFFF);
  CHECK(msix->control() == (2 | kEnable | kMaskAll));
}

TEST_CASE_METHOD(Table, "entries are masked at power-on and readable at any width") {
  CHECK(msix->read_table({12, 4}) == 1);
  program(1, 0xFEE01003, 0x4041);
  CHECK(msix->read_table({16, 8}) == 0xFEE01000);
  CHECK(msix->read_table({24, 8}) == 0x1'0000'4041);
  CHECK(msix->read_table({25, 1}) == 0x40);
  msix->write_table({20, 8}, 0x9'0000'0001);
  CHECK(msix->read_table({16, 8}) == 0x1'FEE01000);
  CHECK(msix->read_table({24, 4}) == 9);
}

TEST_CASE_METHOD(Table, "beyond the table there is nothing") {
  CHECK(msix->read_table({48, 4}) == 0);
  CHECK(msix->read_table({44, 8}) == 1);
  msix->write_table({44, 8}, ~std::uint64_t{0});
  msix->write_table({4096, 8}, ~std::uint64_t{0});
  CHECK(msix->read_pending({8, 8}) == 0);
  msix->signal(3);
  msix->signal(0xFFFF);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Table, "a message is routed when its entry can send, and only when it is new") {
  msix->set_control(kEnable);
  program(0, 0xFEE00000, 0x30);
  CHECK(vectors.at(0).routes.empty());
  mask(0, false);
  for (int i = 0; i < 3; ++i) {
    mask(0, true);
    mask(0, false);
  }
  CHECK(vectors.at(0).routes == std::vector<MsiMessage>{{0xFEE00000, 0x30}});
  mask(0, true);
  program(0, 0xFEE01000, 0x31);
  CHECK(vectors.at(0).routes.size() == 1);
  mask(0, false);
  CHECK(vectors.at(0).routes.back() == MsiMessage{0xFEE01000, 0x31});
  CHECK(vectors.at(1).routes.empty());
}

TEST_CASE_METHOD(Table, "a wide write is routed as a whole") {
  msix->set_control(kEnable);
  mask(0, false);
  const auto before = vectors.at(0).routes.size();
  msix->write_table({0, 8}, 0x5'FEE00000);
  CHECK(vectors.at(0).routes.size() == before + 1);
  CHECK(vectors.at(0).routes.back().address == 0x5'FEE00000);
}

TEST_CASE_METHOD(Table, "a signal goes out at once when nothing masks it") {
  msix->set_control(kEnable);
  mask(2, false);
  msix->signal(2);
  msix->signal(2);
  CHECK(vectors.at(2).signals == 2);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Table, "a signal while masked waits as a pending bit (6.8.3.4)") {
  msix->set_control(kEnable);
  SECTION("by its entry") {
    msix->signal(1);
    msix->signal(1);
    CHECK(pending() == 2);
    CHECK(vectors.at(1).signals == 0);
    mask(1, false);
  }
  SECTION("by the function mask") {
    mask(1, false);
    msix->set_control(kEnable | kMaskAll);
    msix->signal(1);
    CHECK(pending() == 2);
    msix->set_control(kEnable);
  }
  SECTION("because the function may not master the bus") {
    mask(1, false);
    msix->set_bus_master(false);
    msix->signal(1);
    CHECK(pending() == 2);
    msix->set_bus_master(true);
  }
  CHECK(pending() == 0);
  CHECK(vectors.at(1).signals == 1);
}

TEST_CASE_METHOD(Table, "while disabled signals are lost, as the standard has it") {
  mask(0, false);
  msix->signal(0);
  CHECK(pending() == 0);
  msix->set_control(kEnable);
  CHECK(vectors.at(0).signals == 0);
}

TEST_CASE_METHOD(Table, "repeat sends what can be sent and leaves no pending bit") {
  msix->set_control(kEnable);
  mask(0, false);
  msix->repeat(0);
  msix->repeat(1);
  msix->repeat(99);
  CHECK(vectors.at(0).signals == 1);
  CHECK(pending() == 0);
}

TEST_CASE_METHOD(Table, "a restored table routes what can send and keeps what waits") {
  msix->set_control(kEnable);
  program(0, 0xFEE00000, 0x30);
  mask(0, false);
  program(1, 0xFEE00000, 0x31);
  msix->signal(1);
  const MsixState saved = msix->save();
  testing::FakeMsiVectors fresh;
  const auto restored = MsixTable::create(fresh, 3, saved).value();
  CHECK(restored->save() == saved);
  CHECK(fresh.at(0).routes == std::vector<MsiMessage>{{0xFEE00000, 0x30}});
  CHECK(fresh.at(1).routes.empty());
  restored->write_table({28, 4}, 0);
  CHECK(fresh.at(1).signals == 1);
}

TEST_CASE_METHOD(Table, "what waits for bus mastering still waits after a restore") {
  msix->set_control(kEnable);
  mask(1, false);
  msix->set_bus_master(false);
  msix->signal(1);
  testing::FakeMsiVectors fresh;
  const auto restored = MsixTable::create(fresh, 3, msix->save(), false).value();
  CHECK(restored->save() == msix->save());
  CHECK(fresh.at(1).signals == 0);
  restored->set_bus_master(true);
  CHECK(fresh.at(1).signals == 1);
}

TEST_CASE_METHOD(Table, "a state with another number of vectors is refused") {
  testing::FakeMsiVectors fresh;
  CHECK_FALSE(MsixTable::create(fresh, 4, msix->save()));
}

}  // namespace
}  // namespace stasis::devices
