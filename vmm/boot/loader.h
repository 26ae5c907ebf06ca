#pragma once

#include <string>
#include <string_view>

#include "base/guest_memory.h"
#include "base/result.h"
#include "vmm/boot/boot_plan.h"
#include "vmm/boot/byte_source.h"

namespace stasis::vmm {

/// What to boot; all of it is only read.
struct BootSources {
  const ByteSource& kernel;
  const ByteSource* initrd = nullptr;  ///< null: none
  std::string_view cmdline;            ///< without a NUL
};

/// Puts kernel, initrd, command line and the boot protocol's tables into fresh, zeroed RAM (from 0
/// to layout::kLowRamEnd at most, then from layout::kHighRamStart) and says how to start the boot
/// processor. The ACPI tables, which the kernel is pointed to at layout::kAcpiTables, are written
/// by the caller (vmm/acpi/acpi_tables.h). On an error RAM may have been written in part.
base::Result<BootPlan> load(const base::GuestMemory& memory, const BootSources& sources);

/// As above from files; `initrd_path` may be empty. Errors name the file.
base::Result<BootPlan> load_files(const base::GuestMemory& memory, const std::string& kernel_path,
                                  const std::string& initrd_path, std::string_view cmdline);

}  // namespace stasis::vmm
