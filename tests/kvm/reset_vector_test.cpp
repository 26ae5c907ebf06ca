#include "vmm/boot/reset_vector.h"

#include <catch2/catch.hpp>

#include "devices/legacy/acpi_pm.h"
#include "tests/kvm/tiny_vm.h"

namespace stasis::vmm {
namespace {

TEST_CASE("a jump to the BIOS's entry asks for a reset") {
  TinyVm tiny({0xEA, 0xF0, 0xFF, 0x00, 0xF0});  // ljmp $0xF000, $0xFFF0
  REQUIRE(write_reset_vector(tiny.ram.view()));
  CountingDevice reset_register;
  REQUIRE(tiny.ports.add(layout::kAcpiPm + devices::AcpiPm::kReset, 1, reset_register));
  {
    VcpuThread thread(0, *tiny.vcpu, {tiny.ports, tiny.memory, tiny.observer});
    thread.resume();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (reset_register.count == 0 && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
  }
  CHECK(reset_register.count == 1);
  CHECK(reset_register.last == devices::AcpiPm::kResetValue);
}

TEST_CASE("a machine without room for the BIOS's entry is refused") {
  std::vector<std::byte> ram(0x1000);
  CHECK_FALSE(write_reset_vector(base::GuestMemory({{{0}, ram}})));
}

}  // namespace
}  // namespace stasis::vmm
