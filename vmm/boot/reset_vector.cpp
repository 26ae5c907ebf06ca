#include "vmm/boot/reset_vector.h"

#include <array>

#include "devices/legacy/acpi_pm.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {

base::Status write_reset_vector(const base::GuestMemory& memory) {
  constexpr std::uint64_t kPort = layout::kAcpiPm + devices::AcpiPm::kReset;
  constexpr std::array<std::uint8_t, 9> kCode = {
      0xBA,       kPort & 0xFF,
      kPort >> 8,                                // mov dx, port
      0xB0,       devices::AcpiPm::kResetValue,  // mov al, value
      0xEE,                                      // out dx, al
      0xF4,       0xEB,
      0xFD,  // 1: hlt; jmp 1b
  };
  static_assert(layout::kResetVector + kCode.size() <= layout::kAcpiTablesEnd);
  if (!memory.write({layout::kResetVector}, std::as_bytes(std::span(kCode)))) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      "memory ends below 1 MiB; --memory 64M helps");
  }
  return {};
}

}  // namespace stasis::vmm
