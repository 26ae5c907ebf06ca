#pragma once

#include "base/guest_memory.h"
#include "base/result.h"

namespace stasis::vmm {

/// Puts a few real-mode instructions at layout::kResetVector that write the ACPI reset register.
///
/// A kernel that reboots "by the BIOS" goes back to real mode and jumps to F000:FFF0. Linux does so
/// by default on a hardware-reduced ACPI machine: it wants EFI's reset there, and finding no EFI,
/// turns to the BIOS (arch/x86/kernel/reboot.c, `reboot_init` and
/// `native_machine_emergency_restart`) before it would try the reset register. Without firmware
/// there would be nothing to land on.
///
/// kInvalidArgument: RAM ends below 1 MiB.
base::Status write_reset_vector(const base::GuestMemory& memory);

}  // namespace stasis::vmm
