#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// Tables as they are in memory: little-endian, packed (ACPI 6.4, section 5.2; MCFG: PCI Firmware
/// Specification 3.3, section 4.1.2). Only what build_tables fills in has a name.
namespace stasis::vmm::acpi {

using Signature = std::array<char, 4>;

struct [[gnu::packed]] Rsdp {
  std::array<char, 8> signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
  std::uint8_t checksum = 0;  ///< over the first kOldSize bytes
  std::array<char, 6> oem_id{};
  std::uint8_t revision = 2;
  std::uint32_t rsdt = 0;
  std::uint32_t length = 36;
  std::uint64_t xsdt = 0;
  std::uint8_t extended_checksum = 0;
  std::array<std::uint8_t, 3> reserved{};
  static constexpr std::size_t kOldSize = 20;
};
static_assert(sizeof(Rsdp) == 36);

struct [[gnu::packed]] Header {
  Signature signature{};
  std::uint32_t length = 0;
  std::uint8_t revision = 0;
  std::uint8_t checksum = 0;
  std::array<char, 6> oem_id{};
  std::array<char, 8> oem_table_id{};
  std::uint32_t oem_revision = 1;
  std::array<char, 4> creator_id{};
  std::uint32_t creator_revision = 1;
};
static_assert(sizeof(Header) == 36);

/// Generic address structure (section 5.2.3.2).
struct [[gnu::packed]] Register {
  std::uint8_t space = 0;  ///< 1: port
  std::uint8_t bit_width = 0;
  std::uint8_t bit_offset = 0;
  std::uint8_t access_size = 0;  ///< 1: byte
  std::uint64_t address = 0;
};
static_assert(sizeof(Register) == 12);

/// Behind the header (section 5.2.9).
struct [[gnu::packed]] Fadt {
  std::uint32_t facs = 0;
  std::uint32_t dsdt = 0;
  std::uint8_t reserved_1 = 0;
  std::uint8_t pm_profile = 0;
  std::uint16_t sci_interrupt = 0;
  std::array<std::uint8_t, 60> fixed_hardware{};  ///< absent: hardware-reduced
  std::uint8_t century = 0;
  std::uint16_t boot_flags = 0;
  std::uint8_t reserved_2 = 0;
  std::uint32_t flags = 0;
  Register reset_register;
  std::uint8_t reset_value = 0;
  std::uint16_t arm_boot_flags = 0;
  std::uint8_t minor_version = 0;
  std::uint64_t x_facs = 0;
  std::uint64_t x_dsdt = 0;
  std::array<std::uint8_t, 8 * sizeof(Register)> x_fixed_hardware{};
  Register sleep_control;
  Register sleep_status;
  std::array<char, 8> hypervisor{};
};
static_assert(sizeof(Header) + sizeof(Fadt) == 276);
static_assert(sizeof(Header) + offsetof(Fadt, century) == 108);
static_assert(sizeof(Header) + offsetof(Fadt, reset_register) == 116);
static_assert(sizeof(Header) + offsetof(Fadt, x_dsdt) == 140);
static_assert(sizeof(Header) + offsetof(Fadt, sleep_control) == 244);

/// Behind the header (section 5.2.12); the entries follow.
struct [[gnu::packed]] Madt {
  std::uint32_t local_apic = 0;
  std::uint32_t flags = 0;
};

struct [[gnu::packed]] MadtLocalApic {
  std::uint8_t type = 0;
  std::uint8_t length = 8;
  std::uint8_t processor_uid = 0;
  std::uint8_t apic_id = 0;
  std::uint32_t flags = 0;  ///< 1: enabled
};
static_assert(sizeof(MadtLocalApic) == 8);

struct [[gnu::packed]] MadtIoApic {
  std::uint8_t type = 1;
  std::uint8_t length = 12;
  std::uint8_t id = 0;
  std::uint8_t reserved = 0;
  std::uint32_t address = 0;
  std::uint32_t first_gsi = 0;
};
static_assert(sizeof(MadtIoApic) == 12);

struct [[gnu::packed]] MadtInterruptOverride {
  std::uint8_t type = 2;
  std::uint8_t length = 10;
  std::uint8_t bus = 0;  ///< ISA
  std::uint8_t irq = 0;
  std::uint32_t gsi = 0;
  std::uint16_t flags = 0;
};
static_assert(sizeof(MadtInterruptOverride) == 10);

struct [[gnu::packed]] MadtLocalApicNmi {
  std::uint8_t type = 4;
  std::uint8_t length = 6;
  std::uint8_t processor_uid = 0xFF;  ///< all
  std::uint16_t flags = 0;
  std::uint8_t lint = 0;
};
static_assert(sizeof(MadtLocalApicNmi) == 6);

struct [[gnu::packed]] Mcfg {
  std::uint64_t reserved_1 = 0;
  std::uint64_t ecam = 0;
  std::uint16_t segment = 0;
  std::uint8_t first_bus = 0;
  std::uint8_t last_bus = 0;
  std::uint32_t reserved_2 = 0;
};
static_assert(sizeof(Mcfg) == 24);

}  // namespace stasis::vmm::acpi
