#include "devices/pci/pci_root.h"

#include <linux/pci_regs.h>

#include <catch2/catch.hpp>

#include "base/state_codec.h"

namespace stasis::devices {
namespace {

constexpr std::uint64_t kWindow = 0xC0000000;

class FakeFunction : public PciFunction {
 public:
  explicit FakeFunction(std::uint16_t device, const std::vector<PciBar>& bars = {})
      : config_({.vendor = 0x1AF4, .device = device}) {
    for (const PciBar bar : bars) config_.add_bar(bar);
  }
  std::string_view name() const override { return "fake"; }
  std::uint64_t read_config(IoAccess access) override { return config_.read(access); }
  void write_config(IoAccess access, std::uint64_t value) override { config_.write(access, value); }
  std::vector<PciBar> bars() const override { return config_.bars(); }
  std::optional<std::uint64_t> bar_address(unsigned index) const override {
    return config_.bar_address(index);
  }
  std::uint64_t read_bar(unsigned index, IoAccess access) override {
    return index << 28 | access.offset;
  }
  void write_bar(unsigned index, IoAccess access, std::uint64_t value) override {
    writes.push_back({index, access.offset, value});
  }
  std::vector<std::array<std::uint64_t, 3>> writes;

 private:
  PciConfigSpace config_;
};

struct Bus {
  PciRoot root{{kWindow, 0x10'0000}};
  FakeFunction first{0x1041, {{0, 0x8000}}};
  FakeFunction second{0x1042, {{0, 0x1000}, {2, 0x4000}}};
  Bus() {
    CHECK(root.add(first) == 1U);
    CHECK(root.add(second) == 2U);
  }
  std::uint64_t ecam(unsigned device, unsigned offset, unsigned width = 4) {
    return root.ecam().read({device * 0x8000ULL + offset, width});
  }
  std::uint64_t port(std::uint32_t address, unsigned byte = 0, unsigned width = 4) {
    root.ports().write({0, 4}, address);
    return root.ports().read({4ULL + byte, width});
  }
};

TEST_CASE_METHOD(Bus, "the host bridge is device 0") {
  CHECK(ecam(0, PCI_CLASS_REVISION) == 0x06000000);
}

TEST_CASE_METHOD(Bus, "functions appear in the order they were added") {
  CHECK(ecam(1, PCI_VENDOR_ID) == 0x10411AF4);
  CHECK(ecam(2, PCI_VENDOR_ID) == 0x10421AF4);
}

TEST_CASE_METHOD(Bus, "absent functions and the extended space read all ones") {
  CHECK(ecam(3, 0) == 0xFFFFFFFF);
  CHECK(ecam(31, 0, 1) == 0xFF);
  CHECK(root.ecam().read({0x9000, 4}) == 0xFFFFFFFF);  // device 1, function 1
  CHECK(ecam(1, 0x100) == 0xFFFFFFFF);
  CHECK(root.ecam().read({0xFFFFF, 8}) == ~std::uint64_t{0});
  root.ecam().write({0xFFFFC, 4}, 0);
}

TEST_CASE_METHOD(Bus, "configuration accesses may have any width and alignment") {
  CHECK(ecam(1, 1, 1) == 0x1A);
  CHECK(ecam(1, 1, 2) == 0x411A);
  CHECK(ecam(1, 1, 4) == 0x00'10411A);
  CHECK(ecam(1, 0, 8) == 0x10411AF4);
  root.ecam().write({0x8000 + PCI_COMMAND - 1, 4}, 0xAA'0002'FF);
  CHECK(ecam(1, PCI_COMMAND, 2) == PCI_COMMAND_MEMORY);
  CHECK(ecam(1, 0xFE, 4) == 0xFFFF0000);
}

TEST_CASE_METHOD(Bus, "the port pair reaches the same registers") {
  CHECK(port(0x80000800) == 0x10411AF4);
  CHECK(port(0x80001000, 2, 2) == 0x1042);
  CHECK(port(0x80000808, 3, 1) == ecam(1, 0x0B, 1));
  CHECK(root.ports().read({0, 4}) == 0x80000808);
  root.ports().write({0, 4}, 0x80000804);
  root.ports().write({4, 1}, PCI_COMMAND_MASTER);
  CHECK(ecam(1, PCI_COMMAND, 2) == PCI_COMMAND_MASTER);
}

TEST_CASE_METHOD(Bus, "the port pair answers all ones for what is not there") {
  CHECK(port(0x00000800) == 0xFFFFFFFF);  // not enabled
  CHECK(port(0x80010800) == 0xFFFFFFFF);  // bus 1
  CHECK(port(0x80000900) == 0xFFFFFFFF);  // function 1
  CHECK(port(0x8000F800) == 0xFFFFFFFF);  // device 31
}

TEST_CASE_METHOD(Bus, "only a dword reaches the address latch") {
  root.ports().write({0, 4}, 0xFFFFFFFF);
  CHECK(root.ports().read({0, 4}) == 0x80FFFFFC);
  root.ports().write({3, 1}, 1);  // how Linux probes for the mechanism
  root.ports().write({1, 1}, 6);  // reset control of other machines
  CHECK(root.ports().read({0, 4}) == 0x80FFFFFC);
  CHECK(root.ports().read({0, 1}) == 0xFF);
}

TEST_CASE_METHOD(Bus, "BARs are placed in order, naturally aligned, and decoded") {
  REQUIRE(root.assign_bars());
  CHECK(first.bar_address(0) == kWindow);
  CHECK(second.bar_address(0) == kWindow + 0x8000);
  CHECK(second.bar_address(2) == kWindow + 0xC000);
  CHECK((ecam(1, PCI_COMMAND, 2) & PCI_COMMAND_MASTER) == 0);
  CHECK(root.window().read({0x9, 1}) == 0x9);
  CHECK(root.window().read({0xC010, 4}) == 0x2000'0010);
  root.window().write({0x8004, 2}, 0xBEEF);
  CHECK(second.writes == std::vector<std::array<std::uint64_t, 3>>{{0, 4, 0xBEEF}});
}

TEST_CASE_METHOD(Bus, "addresses between BARs, and accesses across their ends, are nobody's") {
  REQUIRE(root.assign_bars());
  CHECK(root.window().read({0x9000, 4}) == 0xFFFFFFFF);
  CHECK(root.window().read({0x8FFE, 4}) == 0xFFFFFFFF);
  root.window().write({0x8FFE, 4}, 0);
  CHECK(second.writes.empty());
}

TEST_CASE_METHOD(Bus, "a guest may move a BAR and switch decoding off") {
  REQUIRE(root.assign_bars());
  root.ecam().write({0x8000 + PCI_BASE_ADDRESS_0, 4}, kWindow + 0x8'0000);
  CHECK(root.window().read({0x0, 4}) == 0xFFFFFFFF);
  CHECK(root.window().read({0x8'0123, 1}) == 0x123);
  root.ecam().write({0x8000 + PCI_COMMAND, 2}, 0);
  CHECK(root.window().read({0x8'0123, 1}) == 0xFF);
}

TEST_CASE("a window or a bus that is too small is reported") {
  PciRoot root({kWindow, 0x2000});
  std::vector<std::unique_ptr<FakeFunction>> functions;
  for (int i = 0; i < 31; ++i) {
    functions.push_back(std::make_unique<FakeFunction>(1, std::vector<PciBar>{{0, 0x1000}}));
    REQUIRE(root.add(*functions.back()));
  }
  FakeFunction one_too_many(1);
  CHECK_FALSE(root.add(one_too_many));
  CHECK_FALSE(root.assign_bars());
}

TEST_CASE_METHOD(Bus, "the root's state is the latch and the host bridge") {
  port(0x80000844);
  root.ecam().write({PCI_COMMAND, 2}, PCI_COMMAND_MASTER);
  const PciRootState saved = root.save();
  CHECK(saved.config_address == 0x80000844);
  const auto decoded = base::decode_state<PciRootState>(base::encode_state(saved));
  REQUIRE(decoded);
  PciRoot restored({kWindow, 0x10'0000}, *decoded);
  CHECK(restored.save() == saved);
  CHECK(restored.ports().read({0, 4}) == 0x80000844);
}

}  // namespace
}  // namespace stasis::devices
