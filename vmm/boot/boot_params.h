#pragma once

#include <asm/bootparam.h>

#include "base/guest_memory.h"
#include "vmm/boot/boot_plan.h"

namespace stasis::vmm {

/// The setup header of an ELF vmlinux, which has none of its own: just enough to be believed.
setup_header default_setup_header();

/// Puts Linux' "zero page" at layout::kZeroPage: `header` with the loader's fields filled in, the
/// memory map, initrd and RSDP (Linux Documentation/arch/x86/boot.rst and zero-page.rst). The
/// command line is at layout::kCmdline already.
void write_boot_params(const base::GuestMemory& memory, const setup_header& header,
                       const BootRange& initrd);

}  // namespace stasis::vmm
