#include "devices/pci/pci_config_space.h"

#include <linux/pci_regs.h>

#include <catch2/catch.hpp>

namespace stasis::devices {
namespace {

constexpr PciIdentity kIdentity{.vendor = 0x1AF4,
                                .device = 0x1042,
                                .revision = 1,
                                .class_code = 0x018000,
                                .subsystem_vendor = 0x1234,
                                .subsystem = 0x5678};

TEST_CASE("the header says who the function is (PCI 3.0, section 6.2.1)") {
  const PciConfigSpace config(kIdentity);
  CHECK(config.dword(PCI_VENDOR_ID) == 0x10421AF4);
  CHECK(config.dword(PCI_CLASS_REVISION) == 0x01800001);
  CHECK(config.dword(PCI_SUBSYSTEM_VENDOR_ID) == 0x56781234);
  CHECK(config.read({PCI_HEADER_TYPE, 1}) == 0);
  CHECK(config.read({PCI_INTERRUPT_PIN, 1}) == 0);
}

TEST_CASE("read-only bits keep their value whatever is written") {
  PciConfigSpace config(kIdentity);
  for (unsigned offset = 0; offset < 256; offset += 4) config.write({offset, 4}, 0xFFFFFFFF);
  CHECK(config.dword(PCI_VENDOR_ID) == 0x10421AF4);
  CHECK(config.dword(PCI_COMMAND) ==
        (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
  CHECK(config.dword(PCI_BASE_ADDRESS_0) == 0);
}

TEST_CASE("writes of one byte leave its neighbours alone") {
  PciConfigSpace config(kIdentity);
  config.write({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
  config.write({PCI_COMMAND, 1}, PCI_COMMAND_MASTER);
  CHECK(config.read({PCI_COMMAND, 2}) == (PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE));
}

TEST_CASE("a BAR is sized by writing ones and moved by writing an address (6.2.5.1)") {
  PciConfigSpace config(kIdentity);
  config.add_bar({0, 0x8000});
  config.write({PCI_BASE_ADDRESS_0, 4}, 0xFFFFFFFF);
  CHECK(config.dword(PCI_BASE_ADDRESS_0) == 0xFFFF8000);
  config.write({PCI_BASE_ADDRESS_0, 4}, 0xC0018123);
  CHECK(config.dword(PCI_BASE_ADDRESS_0) == 0xC0018000);
  CHECK_FALSE(config.bar_address(0));
  config.write({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY);
  CHECK(config.bar_address(0) == 0xC0018000);
}

TEST_CASE("capabilities are linked in order (6.7)") {
  PciConfigSpace config(kIdentity);
  CHECK((config.read({PCI_STATUS, 2}) & PCI_STATUS_CAP_LIST) == 0);
  const std::uint8_t body[] = {1, 2, 3};
  const std::uint8_t writable[] = {0, 0xF0};
  const auto first = config.add_capability(PCI_CAP_ID_VNDR, body);
  const auto second = config.add_capability(PCI_CAP_ID_MSIX, body, writable);
  CHECK((config.read({PCI_STATUS, 2}) & PCI_STATUS_CAP_LIST) != 0);
  CHECK(config.read({PCI_CAPABILITY_LIST, 1}) == first);
  CHECK(first == 0x40);
  CHECK(second == 0x48);
  CHECK(config.dword(first) == 0x02014809);
  CHECK(config.read({second + 1ULL, 1}) == 0);
  config.write({second + 2ULL, 2}, 0xABCD);
  CHECK(config.read({second + 2ULL, 2}) == 0xA201);
}

TEST_CASE("an access beyond the space reads all ones") {
  PciConfigSpace config(kIdentity);
  CHECK(config.read({255, 2}) == 0xFFFF);
  CHECK(config.read({~std::uint64_t{0}, 4}) == 0xFFFFFFFF);
  config.write({~std::uint64_t{0}, 4}, 0);
}

TEST_CASE("a saved configuration space is restored; bits that nobody can write are dropped") {
  PciConfigSpace config(kIdentity);
  config.add_bar({0, 0x1000});
  config.write({PCI_BASE_ADDRESS_0, 4}, 0xC0000000);
  config.write({PCI_INTERRUPT_LINE, 1}, 11);
  PciConfigState state = config.save();
  PciConfigState forged = state;
  forged.written[PCI_VENDOR_ID] = 0xFF;
  PciConfigSpace restored(kIdentity, forged);
  restored.add_bar({0, 0x1000});
  CHECK(restored.save() == state);
  CHECK(restored.dword(PCI_BASE_ADDRESS_0) == 0xC0000000);
  CHECK(restored.dword(PCI_VENDOR_ID) == 0x10421AF4);
}

}  // namespace
}  // namespace stasis::devices
