#pragma once

#include <cstdint>

/// Where everything is in the guest's address spaces. Part of the machine's contract with its
/// snapshots: a change needs a new layout version, never a silent edit.
namespace stasis::vmm::layout {

inline constexpr std::uint32_t kVersion = 1;

// --- Memory ------------------------------------------------------------------------------------
// 0 .. RAM .. 3 GiB | MMIO hole 3 .. 4 GiB | 4 GiB .. the rest of RAM
inline constexpr std::uint64_t kLowRamEnd = 0xC000'0000;
inline constexpr std::uint64_t kHighRamStart = 0x1'0000'0000;

inline constexpr std::uint64_t kPciWindowStart = 0xC000'0000;  // BARs, 32-bit
inline constexpr std::uint64_t kPciWindowSize = 0x2000'0000;
inline constexpr std::uint64_t kEcamStart = 0xE000'0000;  // one bus: 1 MiB
inline constexpr std::uint64_t kEcamSize = 0x10'0000;
inline constexpr std::uint64_t kIoApicStart = 0xFEC0'0000;
inline constexpr std::uint64_t kLocalApicStart = 0xFEE0'0000;
inline constexpr std::uint64_t kKvmIdentityMap = 0xFEFF'C000;  // one page, then three for the TSS
inline constexpr std::uint64_t kKvmTss = 0xFEFF'D000;

// --- Low memory at boot --------------------------------------------------------------------------
inline constexpr std::uint64_t kGdt = 0x500;
inline constexpr std::uint64_t kZeroPage = 0x7000;      // boot_params
inline constexpr std::uint64_t kPvhStartInfo = 0x6000;  // hvm_start_info, modules, memory map
inline constexpr std::uint64_t kBootStack = 0x8FF0;
inline constexpr std::uint64_t kPageTables = 0x9000;  // PML4, PDPT, four PDs
inline constexpr std::uint64_t kCmdline = 0x2'0000;
inline constexpr std::uint64_t kCmdlineMax = 0x1'0000;
inline constexpr std::uint64_t kEbda = 0x9'FC00;        // end of usable low memory
inline constexpr std::uint64_t kAcpiTables = 0xE'0000;  // RSDP first; up to 1 MiB, reserved in E820
inline constexpr std::uint64_t kVmGenId = 0xF'F000;     // 16 bytes in a page of their own
inline constexpr std::uint64_t kAcpiTablesEnd = 0x10'0000;
inline constexpr std::uint64_t kResetVector = 0xF'FFF0;  // F000:FFF0; 16 bytes, behind kVmGenId
inline constexpr std::uint64_t kHimem = 0x10'0000;

// --- Ports ---------------------------------------------------------------------------------------
inline constexpr std::uint16_t kCom1 = 0x3F8;
inline constexpr std::uint16_t kI8042 = 0x60;  // 0x60 data, 0x64 command; 0x61 belongs to the PIT
inline constexpr std::uint16_t kCmos = 0x70;   // 0x70, 0x71
inline constexpr std::uint16_t kPvPanic = 0x505;
inline constexpr std::uint16_t kAcpiPm = 0x600;  // sleep control, sleep status, reset, events
inline constexpr std::uint16_t kAcpiPmSize = 0x10;
inline constexpr std::uint16_t kPciConfigAddress = 0xCF8;  // 0xCF8..0xCFF

// --- Interrupts (GSI)
// ------------------------------------------------------------------------------
inline constexpr unsigned kCom1Gsi = 4;
inline constexpr unsigned kRtcGsi = 8;
inline constexpr unsigned kEventsGsi = 9;     // generic event device: power button, VMGenID
inline constexpr unsigned kFirstMsiGsi = 24;  // behind the IOAPIC's pins

// --- PCI
// -------------------------------------------------------------------------------------------
// Device 0 is the host bridge; virtio functions follow in the order they are configured.
inline constexpr unsigned kMaxPciDevices = 32;

}  // namespace stasis::vmm::layout
