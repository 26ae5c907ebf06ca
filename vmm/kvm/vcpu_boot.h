#pragma once

#include "base/result.h"
#include "vmm/boot/boot_plan.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace stasis::vmm {

/// Puts a new vCPU in the state in which firmware would leave every processor: memory write-back by
/// default (MTRR), fast string instructions on. For the boot processor and the others alike.
base::Status set_firmware_msrs(const KvmVcpu& vcpu);

/// Gives the boot processor the registers the kernel is entered with.
base::Status set_boot_registers(const KvmVcpu& vcpu, const BootRegisters& registers);

}  // namespace stasis::vmm
