#pragma once

#include <cstddef>
#include <vector>

#include "base/guest_memory.h"

namespace stasis::vmm {

/// What the tables depend on.
struct AcpiConfig {
  unsigned cpus = 1;  ///< 1..kMaxCpus; processor n has local APIC id n
};

/// Tables to be copied to `address`; they point at each other by guest-physical address.
struct AcpiTables {
  base::GuestAddress address;  ///< layout::kAcpiTables
  std::vector<std::byte> bytes;
  base::GuestAddress rsdp;
};

/// RSDP, XSDT, FADT, MADT, MCFG and DSDT of a hardware-reduced ACPI 6.4 machine, ending below
/// layout::kVmGenId, whose 16 bytes belong to devices::VmGenId.
///
/// Hardware-reduced: no SCI and no PM timer, events by a generic event device, power-off and reset
/// by devices::AcpiPm. Linux then uses neither PIC nor PIT, so the processor should offer the TSC
/// deadline timer and KVM's clock. GSI n is pin n of the one IOAPIC, the legacy timer's included.
AcpiTables build_tables(const AcpiConfig& config);

}  // namespace stasis::vmm
